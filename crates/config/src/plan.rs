//! The resolved configuration: what the program runs.

mod aws;
mod check;
mod credential;
mod database;
mod local;
mod resolve;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::document::Document;
use crate::error::ConfigError;
use crate::listen::Listen;
use crate::schema;
pub use crate::schema::Limits;
use crate::search::Found;
use crate::transport::Transport;
pub use aws::{AssumeRole, Aws};
pub use credential::{Credential, PasswordSource};
pub use database::{Address, Database, Endpoint, Location, Role, Roots, TlsMode};
pub use local::{LocalAuth, LocalIdentity, LocalPassword, LocalTls};

/// A whole configuration, checked and with nothing left to look up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The file it came from.
    pub file: PathBuf,
    /// How that was found: what to load it again from.
    pub found: Found,
    /// The admin listener, if one is wanted.
    pub admin: Option<Admin>,
    /// How long each step may take.
    pub limits: Limits,
    /// Threads that relay sessions.
    pub relay_threads: usize,
    /// The targets by name, in name order.
    pub targets: Vec<Target>,
    /// Every transport instance that a target or another instance names.
    pub transports: Vec<Transport>,
}

/// Where metrics and health are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A loopback address: the listener has no login.
    pub listen: SocketAddr,
}

/// One database as an application sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in configuration, metrics and messages.
    pub name: String,
    /// Where applications connect; never empty.
    pub listen: Vec<Listen>,
    /// The database behind it.
    pub database: Database,
    /// The instance that opens paths to it.
    pub transport: String,
    /// Who pgferry is to the database.
    pub credential: Credential,
    /// Whose AWS is asked for what AWS gives.
    pub aws: Aws,
    /// Who may connect.
    pub local_auth: LocalAuth,
    /// TLS towards applications, if there is any.
    pub local_tls: Option<LocalTls>,
}

impl Target {
    /// Whether AWS is asked for anything: the credential, the endpoint, or the path to it.
    pub fn uses_aws(&self, plan: &Plan) -> bool {
        self.credential.is_of_aws()
            || matches!(self.database.location, Location::Cluster { .. } | Location::Instance(_))
            || plan.transports.iter().any(|t| t.name == self.transport && t.aws.is_some())
    }
}

impl Plan {
    /// Reads, checks and resolves a file. One from a repository has to be trusted if it asks for
    /// anything that needs it; that holds for every reading, the first as well as a reload.
    ///
    /// # Errors
    ///
    /// The file is unreadable, wrong or not trusted: the user's to mend.
    pub fn load(found: &Found) -> Result<Self, ConfigError> {
        Document::read(found)?.plan()
    }

    /// What a schema means in a file that nothing speaks against.
    pub(crate) fn resolve(found: &Found, schema: schema::File) -> Result<Self, ConfigError> {
        let file = std::path::absolute(found.file())
            .map_err(|source| ConfigError::Unreadable { file: found.file().to_owned(), source })?;
        let base = file.parent().map_or_else(PathBuf::new, Path::to_owned);
        resolve::Resolver { found, file: &file, base: &base }.plan(schema)
    }

    /// Keeps the named targets (all, if none is named) and the transports they need, and checks the
    /// files and variables that those take their secrets from. The others need none.
    pub fn select(mut self, names: &[String]) -> Result<Self, ConfigError> {
        for name in names {
            self.target(Some(name))?;
        }
        if !names.is_empty() {
            self.targets.retain(|target| names.contains(&target.name));
            self.drop_unused_transports();
        }
        check::secrets(&self)?;
        Ok(self)
    }

    /// The named target; without a name, the only one.
    pub fn target(&self, name: Option<&str>) -> Result<&Target, ConfigError> {
        let error = |message| Err(ConfigError::meaning(&self.file, "targets", message));
        let known = self.targets.iter().map(|target| target.name.as_str());
        let listed = || known.clone().collect::<Vec<_>>().join(", ");
        let Some(name) = name else {
            return match &self.targets[..] {
                [only] => Ok(only),
                _ => error(format!("there are several: name one of {}", listed())),
            };
        };
        if let Some(target) = self.targets.iter().find(|target| target.name == name) {
            return Ok(target);
        }
        error(match crate::error::nearest(name, known.clone()) {
            Some(nearest) => format!("no target `{name}`; did you mean `{nearest}`?"),
            None => format!("no target `{name}`; there is {}", listed()),
        })
    }

    /// Keeps the instances that a target uses, directly or beneath another.
    fn drop_unused_transports(&mut self) {
        let mut used: Vec<String> = self.targets.iter().map(|t| t.transport.clone()).collect();
        let mut seen = 0;
        while let Some(name) = used.get(seen).cloned() {
            let beneath = self.transports.iter().find(|t| t.name == name);
            if let Some(via) = beneath.and_then(|t| t.via.clone()).filter(|via| !used.contains(via))
            {
                used.push(via);
            }
            seen += 1;
        }
        self.transports.retain(|transport| used.contains(&transport.name));
    }
}

#[cfg(test)]
mod tests;
