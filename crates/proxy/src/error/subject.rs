//! What the words of an error are about.

use pgferry_config::{Credential, Database};

/// A target, as far as the fix of an error depends on how it is configured.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The target's name.
    pub(crate) target: String,
    pub(crate) credential: Kind,
    /// Whether the configuration names the database, and not the application.
    pub(crate) names_database: bool,
}

/// The kinds of credential, without what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Password,
    Iam,
    SecretsManager,
    Dsql,
    Passthrough,
    ClientCert,
}

impl Subject {
    pub(crate) fn new(target: &str, credential: &Credential, database: &Database) -> Self {
        Self {
            target: target.to_owned(),
            credential: match credential {
                Credential::Password { .. } => Kind::Password,
                Credential::Iam { .. } => Kind::Iam,
                Credential::SecretsManager { .. } => Kind::SecretsManager,
                Credential::Dsql { .. } => Kind::Dsql,
                Credential::Passthrough => Kind::Passthrough,
                Credential::ClientCert { .. } => Kind::ClientCert,
            },
            names_database: database.name.is_some(),
        }
    }
}
