//! How the database is found.

use std::fmt;

/// Where a database is, or whom to ask. What is said here wins over what anybody answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// An endpoint by its own name: nobody is asked.
    Host {
        /// The name: what TLS verifies and tokens are signed for.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A cluster by its identifier: RDS is asked.
    Cluster {
        /// `DBClusterIdentifier`.
        name: String,
        /// Which of its endpoints.
        role: Role,
        /// Instead of the cluster's own port.
        port: Option<u16>,
    },
    /// An instance by its identifier: RDS is asked.
    Instance {
        /// `DBInstanceIdentifier`.
        name: String,
        /// Instead of the instance's own port.
        port: Option<u16>,
    },
    /// Where the secret says that has the password too.
    Secret {
        /// Instead of the secret's own port.
        port: Option<u16>,
    },
}

/// Which endpoint of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that leads to the writer.
    Writer,
    /// The one that leads to the readers, or to the writer where there is none.
    Reader,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, .. } => f.write_str(host),
            Self::Cluster { name, .. } => write!(f, "cluster {name}"),
            Self::Instance { name, .. } => write!(f, "instance {name}"),
            Self::Secret { .. } => f.write_str("the secret's host"),
        }
    }
}
