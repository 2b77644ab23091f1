//! The resolved configuration: what the program runs.

mod check;
mod resolve;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::document::Document;
use crate::error::ConfigError;
use crate::listen::Listen;
use crate::schema;
pub use crate::schema::Limits;
use crate::search::Found;
use crate::secret::{Secret, SecretSource};
use crate::transport::Transport;

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

/// A database, and how TLS with it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Where it is.
    pub location: Location,
    /// Its port, where the file says one.
    pub port: Option<u16>,
    /// Where to dial instead, for tests and unusual networks; without a port, the database's own.
    pub address: Option<Address>,
    /// The database to open; the client's choice if absent.
    pub name: Option<String>,
    /// How TLS treats the server's certificate.
    pub tls: TlsMode,
    /// Whose signature on it counts.
    pub roots: Roots,
}

/// How a database is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// By its endpoint's own name: what TLS verifies and tokens are signed for.
    Host(String),
    /// By a cluster's identifier; RDS is asked for the endpoint.
    Cluster {
        /// `DBClusterIdentifier`.
        name: String,
        /// Which of its endpoints.
        role: Role,
    },
    /// By an instance's identifier; RDS is asked for the endpoint.
    Instance(String),
    /// By the host in the secret of Secrets Manager that has the password too.
    Secret,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Cluster { name, role: Role::Writer } => write!(f, "cluster {name}"),
            Self::Cluster { name, role: Role::Reader } => write!(f, "readers of cluster {name}"),
            Self::Instance(name) => write!(f, "instance {name}"),
            Self::Secret => f.write_str("the secret's host"),
        }
    }
}

/// Which endpoint of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that leads to the writer.
    Writer,
    /// The one that leads to the readers, or to the writer where there is none.
    Reader,
}

/// Where to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// A TCP port; the database's own if absent.
    pub port: Option<u16>,
}

impl Database {
    /// PostgreSQL's own port, where nobody says another.
    pub const PORT: u16 = 5432;

    /// Host and port, where the file alone says them.
    pub fn endpoint(&self) -> Option<Endpoint> {
        match &self.location {
            Location::Host(host) => {
                Some(Endpoint { host: host.clone(), port: self.port.unwrap_or(Self::PORT) })
            }
            Location::Cluster { .. } | Location::Instance(_) | Location::Secret => None,
        }
    }

    /// Where the transport has to connect to for an endpoint.
    pub fn dial(&self, endpoint: &Endpoint) -> Endpoint {
        match &self.address {
            None => endpoint.clone(),
            Some(address) => {
                Endpoint { host: address.host.clone(), port: address.port.unwrap_or(endpoint.port) }
            }
        }
    }
}

/// Whose AWS a target uses; what is absent comes from the environment and AWS's own files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    /// A profile of AWS's configuration files.
    pub profile: Option<String>,
    /// The region of calls and signatures.
    pub region: Option<String>,
    /// A role that is assumed with the credentials found.
    pub assume_role: Option<AssumeRole>,
    /// Where every service is asked, instead of AWS's own endpoints.
    pub endpoint_url: Option<String>,
}

/// A role of IAM, and how it is assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumeRole {
    /// `arn:aws:iam::ACCOUNT:role/NAME`.
    pub role_arn: String,
    /// What its trust policy asks for in `sts:ExternalId`.
    pub external_id: Option<String>,
    /// The session's name in `CloudTrail`.
    pub session_name: Option<String>,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an IP address.
    pub host: String,
    /// A TCP port.
    pub port: u16,
}

/// libpq's words for how far a certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Chain and host name.
    VerifyFull,
    /// Chain alone.
    VerifyCa,
    /// No TLS: no cleartext password or token is ever sent.
    Disable,
}

/// The certificate authorities that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those that belong to the endpoint's name: RDS's, Amazon Trust Services', or the system's.
    ByEndpoint,
    /// The PEM certificates of one file.
    File(PathBuf),
}

/// Who pgferry is to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password.
    Password {
        /// The database user.
        user: String,
        /// Where its password is.
        password: PasswordSource,
    },
    /// RDS IAM authentication: a token instead of a password.
    Iam {
        /// The database user.
        user: String,
    },
    /// User and password from a secret of AWS Secrets Manager.
    SecretsManager {
        /// Its ARN or name; absent, the one that RDS manages for the database.
        secret: Option<String>,
        /// The database user, where it is not the secret's.
        user: Option<String>,
        /// The key of the user in the secret's JSON, where it is not one of the usual.
        user_key: Option<String>,
        /// The key of the password in the secret's JSON, where it is not one of the usual.
        password_key: Option<String>,
    },
    /// An Aurora DSQL token.
    Dsql {
        /// The database user.
        user: String,
    },
    /// The application's own user and password.
    Passthrough,
    /// A TLS certificate.
    ClientCert {
        /// The database user.
        user: String,
        /// The certificate, then those of intermediate authorities, as PEM.
        cert_file: PathBuf,
        /// Its private key, as PEM.
        key_file: PathBuf,
    },
}

/// Where a database's password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// A variable, a file, or in the configuration itself.
    Secret(SecretSource),
    /// libpq's password file: `None` for `PGPASSFILE` or `~/.pgpass`.
    Pgpass(Option<PathBuf>),
    /// The first line of what a command prints. No shell.
    Command(Vec<String>),
}

/// Who may connect to a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAuth {
    /// Processes of the user who runs pgferry, and root.
    SameUser,
    /// Whoever knows the password.
    Scram {
        /// The only user name that is accepted, if one is set.
        user: Option<String>,
        /// The password.
        password: LocalPassword,
    },
    /// Everyone.
    Trust,
}

/// The password of a `scram` listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalPassword {
    /// The first line of a file that only its owner can read.
    File(PathBuf),
    /// Made by this process for this process: it is in no file.
    Generated(Secret),
}

impl Credential {
    /// The database user, where the file alone says it.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Password { user, .. }
            | Self::Iam { user }
            | Self::Dsql { user }
            | Self::ClientCert { user, .. } => Some(user),
            Self::SecretsManager { user, .. } => user.as_deref(),
            Self::Passthrough => None,
        }
    }
}

/// TLS between applications and a target's TCP listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTls {
    /// What pgferry shows.
    pub identity: LocalIdentity,
    /// Whether sessions without TLS are refused.
    pub required: bool,
}

/// What pgferry shows to applications as its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalIdentity {
    /// The user's own.
    Certificate {
        /// The certificate, then those of intermediate authorities, as PEM.
        cert_file: PathBuf,
        /// Its private key, as PEM.
        key_file: PathBuf,
    },
    /// One that the local CA of this directory issues.
    LocalCa {
        /// Where the CA is kept.
        directory: PathBuf,
    },
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
