//! What `pgferry config check` says of a credential: where it comes from. Nothing is fetched.

use pgferry_config::{Credential, Database, Location, PasswordSource, SecretSource, Target};
use serde_json::{Value, json};

/// Who pgferry would be to a database, and by what.
pub(crate) struct Shown {
    user: Option<String>,
    kind: &'static str,
    from: String,
}

impl Shown {
    pub(crate) fn of(target: &Target) -> Self {
        let credential = &target.credential;
        let user = credential.user().map(str::to_owned);
        Self { user, kind: credential.kind(), from: from(credential, &target.database) }
    }

    /// For people.
    pub(crate) fn line(&self) -> String {
        let user = match (&self.user, self.kind) {
            (Some(user), _) => user,
            (None, "passthrough") => "whoever the application says",
            (None, _) => "the secret's user",
        };
        format!("as {user}: {}", self.from)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "kind": self.kind, "user": self.user, "from": self.from })
    }
}

fn from(credential: &Credential, database: &Database) -> String {
    match credential {
        Credential::Password { password, .. } => match password {
            PasswordSource::Secret(SecretSource::Env(name)) => {
                format!("the password in the environment variable {name}")
            }
            PasswordSource::Secret(SecretSource::File(file)) => {
                format!("the password in {}", file.display())
            }
            PasswordSource::Secret(SecretSource::Literal(_)) => {
                "the password in the configuration".to_owned()
            }
            PasswordSource::Pgpass(Some(file)) => {
                format!("the password that {} has for it", file.display())
            }
            PasswordSource::Pgpass(None) => {
                "the password that PGPASSFILE or ~/.pgpass has for it".to_owned()
            }
            PasswordSource::Command(argv) => {
                let program = argv.first().map_or("", String::as_str);
                format!("the password that {program} prints")
            }
        },
        Credential::Iam { .. } => "a token of RDS, signed here (rds-db:connect)".to_owned(),
        Credential::Dsql { user } => {
            let action = if user == "admin" { "DbConnectAdmin" } else { "DbConnect" };
            format!("a token of Aurora DSQL, signed here (dsql:{action})")
        }
        Credential::SecretsManager { secret, .. } => managed(secret.as_deref(), database),
        Credential::Passthrough => "its own password".to_owned(),
        Credential::ClientCert { cert_file, .. } => {
            format!("the certificate in {}", cert_file.display())
        }
    }
}

fn managed(secret: Option<&str>, database: &Database) -> String {
    match (secret, &database.location) {
        (Some(secret), _) => format!("the secret {secret} of Secrets Manager"),
        (None, Location::Instance(name)) => format!("the secret that RDS manages for {name}"),
        (None, location) => format!("the secret that RDS manages for {location}"),
    }
}
