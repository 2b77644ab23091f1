//! Who pgferry is to the database.

use std::path::PathBuf;

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
        Ok(match credential {
            schema::Credential::Password {
                user,
                password_env,
                password_file,
                password,
                password_command,
                pgpass_file,
                pgpass,
            } => {
                let file = |file: PathBuf| PasswordSource::Secret(SecretSource::File(path(file)));
                let mut given = [
                    password_env.map(|env| PasswordSource::Secret(SecretSource::Env(env))),
                    password_file.map(file),
                    password.map(|value| PasswordSource::Secret(SecretSource::Literal(value))),
                    password_command.map(PasswordSource::Command),
                    pgpass_file.map(|file| PasswordSource::Pgpass(Some(path(file)))),
                    pgpass.then_some(PasswordSource::Pgpass(None)),
                ]
                .into_iter()
                .flatten();
                let (Some(password), None) = (given.next(), given.next()) else {
                    let message = "needs one of password_env, password_file, password_command, \
                                   pgpass_file, pgpass and password";
                    return Err(self.error(key, message));
                };
                if matches!(&password, PasswordSource::Command(argv) if argv.is_empty()) {
                    let message = "is empty: name a program";
                    return Err(self.error(&format!("{key}.password_command"), message));
                }
                Credential::Password { user, password }
            }
            schema::Credential::Iam { user } => Credential::Iam { user },
            schema::Credential::SecretsManager { secret, user, user_key, password_key } => {
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
        })
    }
}
