//! `pgferry config trust` and `untrust`: a person's word about a repository's file.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use pgferry_config::{
    Document, Found, REPOSITORY_FILE, Trust, TrustStore, search_repository, shown,
};

use crate::args::{ConfigTrust, ConfigUntrust};
use crate::exit::{Exit, Failure};
use crate::output;

pub(crate) fn trust(trust: &ConfigTrust) -> Result<Exit, Failure> {
    let store = store()?;
    if trust.list {
        return list(&store);
    }
    let found = found(trust.file.as_deref())?;
    let document = Document::read(&found).map_err(|error| Failure::new(Exit::Config, error))?;
    let file = shown(&document.file().to_string_lossy());
    match document.trust() {
        Trust::NotNeeded => {
            output::line(format_args!("{file} asks for nothing that needs trust"));
            return Ok(Exit::Ok);
        }
        Trust::Given => output::line(format_args!("{file} is trusted already, and asks for:")),
        Trust::Changed => {
            output::line(format_args!("{file} has changed since you trusted it, and asks for:"));
        }
        Trust::Missing => output::line(format_args!("{file} asks for:")),
    }
    for power in document.powers() {
        output::line(format_args!("  line {}: {}: {}", power.line, power.key, power.what));
    }
    if document.trust() == Trust::Given {
        return Ok(Exit::Ok);
    }
    if !trust.yes && !agreed()? {
        output::line("not trusted");
        return Ok(Exit::Failed);
    }
    document.agree(&store).map_err(|error| Failure::new(Exit::Config, error))?;
    output::line("trusted, as long as its text stays the same; what it names may still change");
    Ok(Exit::Ok)
}

pub(crate) fn untrust(untrust: &ConfigUntrust) -> Result<Exit, Failure> {
    let found = found(untrust.file.as_deref())?;
    let file = shown(&found.file().to_string_lossy());
    let was = store()?.remove(found.file());
    if was.map_err(|error| Failure::new(Exit::Config, error))? {
        output::line(format_args!("{file} is no longer trusted"));
    } else {
        output::line(format_args!("{file} was not trusted"));
    }
    Ok(Exit::Ok)
}

fn list(store: &TrustStore) -> Result<Exit, Failure> {
    let files = store.list().map_err(|error| Failure::new(Exit::Config, error))?;
    for (file, sha256) in files {
        output::line(format_args!("{sha256}  {}", shown(&file)));
    }
    Ok(Exit::Ok)
}

fn store() -> Result<TrustStore, Failure> {
    TrustStore::of_user()
        .context("there is no place to remember it: set HOME or XDG_STATE_HOME")
        .map_err(|error| Failure::new(Exit::Config, error))
}

/// The file that is meant.
fn found(file: Option<&Path>) -> Result<Found, Failure> {
    let Some(file) = file else {
        return search_repository().map_err(|error| Failure::new(Exit::Config, error));
    };
    let file = if file.is_dir() { file.join(REPOSITORY_FILE) } else { file.to_owned() };
    if file.file_name().is_none_or(|name| name != REPOSITORY_FILE) {
        let message = anyhow!(
            "{}: only files called {REPOSITORY_FILE} are found without being named, and need trust; \
             run this one with --config",
            file.display()
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(Found::of_repository(&file))
}

/// Asks the person at the terminal. Anything but a yes is a no.
fn agreed() -> Result<bool, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let message = "there is no terminal to ask at; read the file, then add --yes";
        return Err(Failure::new(Exit::Usage, anyhow!(message)));
    }
    let mut stderr = io::stderr();
    write!(stderr, "Trust it? [y/N] ").and_then(|()| stderr.flush()).ok();
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer).context("standard input");
    read.map_err(|error| Failure::new(Exit::Internal, error))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
