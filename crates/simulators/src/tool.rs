//! Finds the programs this crate runs, and says which package is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::{Context, Error};

/// Finds `tool` on `PATH` or in the system directories an ordinary user's `PATH` leaves out.
pub(crate) fn find(tool: &str, package: &'static str) -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(tool))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Error::MissingTool { tool: tool.to_owned(), package })
}

/// The newest PostgreSQL server's directory of programs: `PGFERRY_PG_BIN`, else Debian's place,
/// else wherever `initdb` is on `PATH`.
pub(crate) fn postgres_programs() -> Result<PathBuf, Error> {
    if let Some(directory) = env::var_os("PGFERRY_PG_BIN") {
        return Ok(directory.into());
    }
    if let Some(newest) = newest_version(Path::new("/usr/lib/postgresql")) {
        return Ok(newest);
    }
    let initdb = find("initdb", "postgresql")?;
    // A link on PATH (Debian has none, other systems do) leads to the directory with the rest.
    let initdb = initdb.canonicalize().unwrap_or(initdb);
    Ok(initdb.parent().unwrap_or_else(|| Path::new("/")).to_owned())
}

fn newest_version(root: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(root).ok()?.filter_map(Result::ok);
    versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .map(|(version, path)| (version, path.join("bin")))
        .filter(|(_, programs)| programs.join("initdb").is_file())
        .max_by_key(|(version, _)| *version)
        .map(|(_, programs)| programs)
}

/// Runs a program to its end and returns its standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().doing(|| format!("running {program}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(Error::Failed { program, status: output.status.to_string(), output: said })
}
