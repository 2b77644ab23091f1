//! Who pgferry is to the database.

use std::path::PathBuf;

use crate::secret::SecretSource;

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

    /// Whether AWS gives it, or what it is made from.
    pub fn is_of_aws(&self) -> bool {
        matches!(self, Self::Iam { .. } | Self::SecretsManager { .. } | Self::Dsql { .. })
    }

    /// What the file calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Password { .. } => "password",
            Self::Iam { .. } => "iam",
            Self::SecretsManager { .. } => "secrets-manager",
            Self::Dsql { .. } => "dsql",
            Self::Passthrough => "passthrough",
            Self::ClientCert { .. } => "client-cert",
        }
    }
}
