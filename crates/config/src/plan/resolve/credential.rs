//! Who pgferry is to the database.

use std::path::{Path, PathBuf};

use super::super::{Credential, PasswordSource};
use super::Resolver;
use crate::error::ConfigError;
use crate::paths;
use crate::schema;
use crate::secret::SecretSource;

/// Aurora DSQL's own first user.
const DSQL_ADMIN: &str = "admin";

impl Resolver<'_> {
    pub(super) fn credential(
        &self,
        key: &str,
        credential: schema::Credential,
    ) -> Result<Credential, ConfigError> {
        let path = |file: PathBuf| paths::resolve(self.base, &file);
        let credential = match credential {
            schema::Credential::Password(places) => {
                let (user, password) = self.password(key, places)?;
                Credential::Password { user, password }
            }
            schema::Credential::Iam { user } => Credential::Iam { user },
            schema::Credential::SecretsManager { secret, user, user_key, password_key } => {
                if let Some(secret) = &secret {
                    secret_id(secret)
                        .map_err(|message| self.error(&format!("{key}.secret"), message))?;
                }
                Credential::SecretsManager { secret, user, user_key, password_key }
            }
            schema::Credential::Dsql { user } => {
                Credential::Dsql { user: user.unwrap_or_else(|| DSQL_ADMIN.to_owned()) }
            }
            schema::Credential::Passthrough {} => Credential::Passthrough,
            schema::Credential::ClientCert { user, cert_file, key_file } => {
                Credential::ClientCert {
                    user,
                    cert_file: path(cert_file),
                    key_file: path(key_file),
                }
            }
        };
        if credential.user() == Some("") {
            return Err(self.error(&format!("{key}.user"), "is empty"));
        }
        Ok(credential)
    }

    fn password(
        &self,
        key: &str,
        places: schema::PasswordCredential,
    ) -> Result<(String, PasswordSource), ConfigError> {
        let path = |file: PathBuf| paths::resolve(self.base, &file);
        let file = |file: PathBuf| PasswordSource::Secret(SecretSource::File(path(file)));
        let mut given = [
            places.password_env.map(|env| PasswordSource::Secret(SecretSource::Env(env))),
            places.password_file.map(file),
            places.password.map(|value| PasswordSource::Secret(SecretSource::Literal(value))),
            places.password_command.map(|argv| PasswordSource::Command(self.command(argv))),
            places.pgpass_file.map(|file| PasswordSource::Pgpass(Some(path(file)))),
            places.pgpass.then_some(PasswordSource::Pgpass(None)),
        ]
        .into_iter()
        .flatten();
        let (Some(password), None) = (given.next(), given.next()) else {
            let message = "needs one of password_env, password_file, password_command, \
                           pgpass_file, pgpass = true and password";
            return Err(self.error(key, message));
        };
        let program = match &password {
            PasswordSource::Command(argv) => Some(argv.first().map_or("", String::as_str)),
            _ => None,
        };
        if program == Some("") {
            let message = "is empty: name a program, then its arguments";
            return Err(self.error(&format!("{key}.password_command"), message));
        }
        Ok((places.user, password))
    }

    /// A program is a path of the file, unless it is a bare name and so for `PATH`.
    fn command(&self, mut argv: Vec<String>) -> Vec<String> {
        if let Some(program) = argv.first_mut().filter(|program| program.contains('/')) {
            let path = paths::resolve(self.base, Path::new(program));
            *program = path.to_string_lossy().into_owned();
        }
        argv
    }
}

/// An ARN or a name.
/// Source: API reference of Secrets Manager, `CreateSecret`; managed ones have a `!` besides.
fn secret_id(secret: &str) -> Result<(), String> {
    let is_name = |name: &str| {
        (1..=512).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@!-".contains(c))
    };
    if !secret.starts_with("arn:") {
        let message = || {
            format!("`{secret}` is neither a secret's ARN nor a name (letters, digits, /_+=.@!-)")
        };
        return is_name(secret).then_some(()).ok_or_else(message);
    }
    let parts: Vec<&str> = secret.splitn(7, ':').collect();
    match parts.as_slice() {
        ["arn", _, "secretsmanager", region, account, "secret", name]
            if !region.is_empty() && !account.is_empty() && is_name(name) =>
        {
            Ok(())
        }
        ["arn", _, service, ..] if *service != "secretsmanager" => {
            Err(format!("`{secret}` is an ARN of {service}, not of Secrets Manager"))
        }
        _ => Err(format!(
            "`{secret}` is no whole ARN of a secret: \
             arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME"
        )),
    }
}
