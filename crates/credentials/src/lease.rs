//! A credential that can be used now.

use secrecy::{ExposeSecret as _, SecretString};

/// A user and the secret that proves it. The secret is cleared from memory on drop and shows in no
/// `Debug` output.
#[derive(Debug)]
pub struct Lease {
    user: String,
    secret: SecretString,
}

impl Lease {
    pub(crate) fn new(user: String, secret: SecretString) -> Self {
        Self { user, secret }
    }

    /// The database user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The secret itself: for the one place that proves it to the database.
    pub fn secret(&self) -> &str {
        self.secret.expose_secret()
    }
}
