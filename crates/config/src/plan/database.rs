//! Where a database is, and how TLS with it is done.

use std::path::PathBuf;

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
