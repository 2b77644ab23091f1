//! From what is configured to who pgferry is to a database, and how that database is found.

use pgferry_aws::Aws;
use pgferry_config::{self as config, Credential, Database, PasswordSource, SecretSource};
use pgferry_credentials::{Access, Location, Password, Role, Secret, Source};

use crate::aws_secrets::identity;

/// A target's access to its database. Asks nobody yet.
///
/// `logs_in` says that the transport is the server itself, which opens the secret: it is told the name.
pub(crate) fn access(target: &config::Target, aws: &Aws, logs_in: bool) -> Access {
    let account = aws.account(&identity(&target.aws));
    let source = match &target.credential {
        Credential::SecretsManager { secret, .. } if logs_in => {
            Source::DataApi { secret: secret.clone() }
        }
        credential => source(credential),
    };
    Access::new(location(&target.database), source, account)
}

fn location(database: &Database) -> Location {
    let port = database.port;
    match &database.location {
        config::Location::Host(host) => {
            Location::Host { host: host.clone(), port: port.unwrap_or(Database::PORT) }
        }
        config::Location::Cluster { name, role } => {
            let role = match role {
                config::Role::Writer => Role::Writer,
                config::Role::Reader => Role::Reader,
            };
            Location::Cluster { name: name.clone(), role, port }
        }
        config::Location::Instance(name) => Location::Instance { name: name.clone(), port },
        config::Location::Secret => Location::Secret { port },
    }
}

fn source(credential: &Credential) -> Source {
    match credential.clone() {
        Credential::Password { user, password } => {
            Source::Password { user, password: password_of(password) }
        }
        Credential::Iam { user } => Source::Iam { user },
        Credential::SecretsManager { secret, user, user_key, password_key } => {
            Source::SecretsManager(Secret { id: secret, user, user_key, password_key })
        }
        Credential::Dsql { user } => Source::Dsql { user },
        Credential::Passthrough => Source::Passthrough,
        // Its files are read where TLS is made.
        Credential::ClientCert { user, .. } => Source::ClientCert { user },
    }
}

fn password_of(source: PasswordSource) -> Password {
    match source {
        PasswordSource::Secret(SecretSource::Env(name)) => Password::Env(name),
        PasswordSource::Secret(SecretSource::File(file)) => Password::File(file),
        PasswordSource::Secret(SecretSource::Literal(secret)) => {
            Password::Literal(secret.expose().into())
        }
        PasswordSource::Pgpass(file) => Password::Pgpass(file),
        PasswordSource::Command(argv) => Password::Command(argv),
    }
}
