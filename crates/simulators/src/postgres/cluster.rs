//! Makes the data directory, with roles and databases, before the server first opens its doors.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use super::{account, passwords::Passwords, role::Role, write};
use crate::{
    error::{Context, Error},
    tool,
};

/// Runs `initdb`, then the bootstrap statements in single-user mode: when the server's ready line
/// appears, everything is in place.
pub(super) fn create(
    programs: &Path,
    directory: &Path,
    passwords: &Passwords,
) -> Result<(), Error> {
    let password_file = directory.join("superuser-password");
    write(&password_file, passwords.of(Role::Superuser))?;
    let mut initdb = account::command(&programs.join("initdb"))?;
    initdb.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]);
    initdb.args(["--no-sync", "--no-instructions", "-D"]).arg(directory.join("data"));
    initdb.arg("--pwfile").arg(&password_file).env("LC_ALL", "C").current_dir(directory);
    tool::run(&mut initdb)?;
    bootstrap(programs, directory, &statements(passwords))
}

/// One statement a line: in single-user mode a line end is a statement end.
fn statements(passwords: &Passwords) -> String {
    let mut sql = Vec::new();
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Superuser) {
        let method = if role == Role::Md5 { "md5" } else { "scram-sha-256" };
        let attributes = if role == Role::Replication { "LOGIN REPLICATION" } else { "LOGIN" };
        let (name, password) = (role.name(), passwords.of(role));
        sql.push(format!("SET password_encryption = '{method}'"));
        sql.push(format!("CREATE ROLE {name} {attributes} PASSWORD '{password}'"));
    }
    // Newer servers let nobody but the owner create tables in `public`; copied into `app`.
    sql.push("GRANT ALL ON SCHEMA public TO PUBLIC".to_owned());
    sql.push("CREATE DATABASE app OWNER app_scram".to_owned());
    sql.push("GRANT ALL ON DATABASE app TO PUBLIC".to_owned());
    sql.join("\n") + "\n"
}

fn bootstrap(programs: &Path, directory: &Path, statements: &str) -> Result<(), Error> {
    let mut single = account::command(&programs.join("postgres"))?;
    single.args(["--single", "-c", "exit_on_error=true", "-c", "fsync=off", "-D"]);
    single.arg(directory.join("data")).arg("template1").env("LC_ALL", "C");
    let said = feed(single.current_dir(directory), statements);
    said.doing(|| "running postgres in single-user mode".to_owned())?
}

fn feed(single: &mut Command, statements: &str) -> std::io::Result<Result<(), Error>> {
    single.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = single.spawn()?;
    if let Some(mut stdin) = running.stdin.take() {
        stdin.write_all(statements.as_bytes())?;
    }
    let output = running.wait_with_output()?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let status = output.status.to_string();
    Ok(Err(Error::Failed { program: "postgres --single".to_owned(), status, output: said }))
}
