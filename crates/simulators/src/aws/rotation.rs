//! A rotation in progress, in the order that hurts: the database first, the label later.

use std::sync::Arc;

use serde_json::Value;

use super::{Aws, World, principal::random};
use crate::{Error, Postgres};

/// Between the moment the database took the new password and the moment the secret says so.
///
/// Dropping it leaves the secret as it is: a rotation that never ends.
#[must_use = "the label moves when `finish` is called"]
pub struct Rotation {
    world: Arc<World>,
    secret: String,
}

impl Rotation {
    /// Makes the new version the current one, as the end of a rotation does.
    pub fn finish(self) {
        if let Some(secret) = self.world.state().vault.find_mut(&self.secret) {
            secret.promote_pending();
        }
    }
}

impl Aws {
    /// Adds `value` to `secret` as the version labelled AWSPENDING.
    ///
    /// # Panics
    ///
    /// When there is no such secret.
    pub fn begin_rotation(&self, secret: &str, value: &str) -> Rotation {
        self.with_secret(secret, |found, now| found.set_pending(value, now));
        Rotation { world: self.world.clone(), secret: secret.to_owned() }
    }

    /// Gives the role that `secret` is about a new password: in the secret as AWSPENDING, and for
    /// real in `database`. AWSCURRENT is wrong until [`Rotation::finish`]. From then on
    /// [`Postgres::password`] is wrong for that role.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when the database refuses.
    ///
    /// # Panics
    ///
    /// When there is no such secret, or its value is no JSON object with a username.
    pub fn rotate_database_first(
        &self,
        secret: &str,
        database: &Postgres,
    ) -> Result<Rotation, Error> {
        self.rotate(secret, None, database)
    }

    /// As [`Self::rotate_database_first`] with two users in turn: the new version is about `user`,
    /// and the old user's password stays right.
    ///
    /// # Errors
    ///
    /// As [`Self::rotate_database_first`].
    ///
    /// # Panics
    ///
    /// As [`Self::rotate_database_first`].
    pub fn rotate_to_user(
        &self,
        secret: &str,
        user: &str,
        database: &Postgres,
    ) -> Result<Rotation, Error> {
        self.rotate(secret, Some(user), database)
    }

    #[expect(clippy::panic, reason = "a test whose secret is not what it thinks cannot go on")]
    fn rotate(
        &self,
        secret: &str,
        user: Option<&str>,
        database: &Postgres,
    ) -> Result<Rotation, Error> {
        let current = self.secret_value(secret);
        let Ok(Value::Object(mut value)) = serde_json::from_str(&current) else {
            panic!("the secret {secret} is no JSON object");
        };
        if let Some(user) = user {
            value.insert("username".to_owned(), user.into());
        }
        let Some(user) = value.get("username").and_then(Value::as_str).map(str::to_owned) else {
            panic!("the secret {secret} has no username");
        };
        let password = random(24);
        value.insert("password".to_owned(), password.as_str().into());
        let rotation = self.begin_rotation(secret, &Value::Object(value).to_string());
        let role = user.replace('"', "\"\"");
        database.query(&format!("ALTER ROLE \"{role}\" PASSWORD '{password}'"))?;
        Ok(rotation)
    }
}
