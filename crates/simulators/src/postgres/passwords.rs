//! One random password per role.

use rand::distr::{Alphanumeric, SampleString};

use super::role::Role;

// No Debug: the habit of printing structs must not print these.
pub(super) struct Passwords([String; Role::ALL.len()]);

impl Passwords {
    pub(super) fn random() -> Self {
        Self(Role::ALL.map(|_| Alphanumeric.sample_string(&mut rand::rng(), 24)))
    }

    pub(super) fn of(&self, role: Role) -> &str {
        let mut with_role = self.0.iter().zip(Role::ALL);
        with_role.find(|(_, other)| *other == role).map_or("", |(password, _)| password)
    }
}
