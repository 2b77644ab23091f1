//! The closed set of places a credential can come from.

use std::path::PathBuf;

use crate::{Lease, Password, Proof};

/// Where pgferry's own credential for a database comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A fixed user and a password.
    Password {
        /// The database user.
        user: String,
        /// Its password.
        password: Password,
    },
}

/// A credential that cannot be had. The texts name places, never values.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The user's: a variable is not set.
    #[error("the environment variable {0} is not set")]
    MissingEnv(String),
    /// The user's: a variable is set to nothing.
    #[error("the environment variable {0} is empty")]
    EmptyEnv(String),
    /// The user's: a file is missing or may not be read.
    #[error("{}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The user's: the first line of a file is empty.
    #[error("the first line of {} is empty", .0.display())]
    EmptyFile(PathBuf),
    /// The user's: PostgreSQL passwords are text.
    #[error("{0} is not UTF-8")]
    NotUnicode(String),
}

impl Source {
    /// Gives a lease for a new connection.
    ///
    /// Cancel safety: may be dropped at any time; nothing is half done. The caller sets the limit.
    pub(crate) async fn resolve(&self, _client_user: &str) -> Result<Lease, CredentialError> {
        match self {
            Self::Password { user, password } => {
                let proof = Proof::Password(password.read().await?);
                Ok(Lease { user: user.clone(), proof, expires: None })
            }
        }
    }
}
