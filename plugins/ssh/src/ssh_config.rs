//! OpenSSH's client configuration: which files are read, and what they say about one host.
//!
//! What it means for this transport is decided here: a keyword that would change the route or the
//! security is followed or refused with its place, never passed over.
//!
//! Source: `ssh_config(5)` of OpenSSH.

use std::path::PathBuf;

use pgferry_transport_sdk::Error;

use crate::config::Config;
use crate::surroundings::Surroundings;
use reader::{Found, Reader, system_file, user_file};

pub use jump::Jump;
pub use settings::{AgentSetting, Settings};

mod condition;
mod jump;
mod keyword;
mod line;
mod pattern;
mod reader;
mod settings;
mod tokens;

/// The files to read, in order: the first value wins.
#[derive(Debug, Clone)]
pub struct SshConfig {
    sources: Vec<Source>,
}

/// A file of the configuration.
#[derive(Debug, Clone)]
struct Source {
    path: PathBuf,
    whose: Whose,
    /// Whether it is refused if others may write it.
    checked: bool,
    /// Whether it has to be there.
    required: bool,
}

/// Whose file it is: relative paths in it are beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    User,
    System,
}

/// A host to look up, with what is decided already.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// Its name as the user wrote it.
    pub host: &'a str,
    /// Who logs in there, if that is decided.
    pub user: Option<&'a str>,
    /// Its port, if that is decided.
    pub port: Option<u16>,
    /// Whether the servers before it are decided.
    pub has_jumps: bool,
    /// Whether the keys to log in with are decided.
    pub has_keys: bool,
    /// Whether the files of known hosts are decided.
    pub has_known_hosts: bool,
}

impl SshConfig {
    /// The files that a transport's configuration means.
    pub fn of(config: &Config, here: &Surroundings) -> Self {
        let source = |path, whose| Source { path, whose, checked: false, required: false };
        let mut sources = Vec::new();
        if let Some(path) = &config.ssh_config_file {
            sources.push(Source { required: true, ..source(path.clone(), Whose::User) });
        } else if config.ssh_config != Some(false) {
            let user = user_file(here).map(|path| source(path, Whose::User));
            sources.extend(user.map(|user| Source { checked: true, ..user }));
            sources.push(source(system_file(here), Whose::System));
        }
        Self { sources }
    }

    /// What the files say about a host.
    ///
    /// Errors: config: a file that cannot be read, a line that cannot be understood or not be
    /// followed, with its place and what to do about it.
    pub fn look_up(&self, query: &Query<'_>, here: &Surroundings) -> Result<Settings, Error> {
        let first = self.pass(query, here, None, Found::default())?;
        let host = lower_name(first.found.host(query).map_err(Error::config)?);
        let found = if first.wants_last_pass {
            self.pass(query, here, Some(host.clone()), first.found)?.found
        } else {
            first.found
        };
        Settings::new(&found, host, query, here)
    }

    /// One reading of all files; the last one knows the name that the first has given.
    fn pass<'a>(
        &self,
        query: &'a Query<'a>,
        here: &'a Surroundings,
        last_pass: Option<String>,
        found: Found,
    ) -> Result<Reader<'a>, Error> {
        let mut reader = Reader { query, here, last_pass, found, wants_last_pass: false };
        for source in &self.sources {
            reader.read(source, 0)?;
        }
        Ok(reader)
    }
}

/// OpenSSH compares names, but not addresses, in lower case.
fn lower_name(host: String) -> String {
    if host.parse::<std::net::IpAddr>().is_ok() { host } else { host.to_ascii_lowercase() }
}
