//! Who tried to log in, and what came of it.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::token::Flaw;

/// One attempt to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user in the startup message.
    pub user: String,
    /// The database in the startup message.
    pub database: String,
    /// Whether TLS began without an `SSLRequest`.
    pub direct_tls: bool,
    /// SHA-256 of the token, in hex: tells tokens apart without giving them away.
    pub token_digest: Option<String>,
    /// The id of the key that signed the token, or what is wrong.
    pub outcome: Result<String, Flaw>,
}

#[derive(Debug, Default)]
pub(super) struct Logins {
    all: Mutex<Vec<Login>>,
    grown: Condvar,
}

impl Logins {
    pub(super) fn add(&self, login: Login) {
        self.lock().push(login);
        self.grown.notify_all();
    }

    pub(super) fn all(&self) -> Vec<Login> {
        self.lock().clone()
    }

    pub(super) fn wait(&self, count: usize, limit: Duration) -> bool {
        let few = |all: &mut Vec<Login>| all.len() < count;
        let waited = self.grown.wait_timeout_while(self.lock(), limit, few);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Login>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
