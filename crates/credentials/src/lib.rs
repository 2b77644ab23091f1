//! Who pgferry is to the database.
//!
//! A [`Source`] says where a credential comes from; resolving it gives a [`Lease`]: a user, a secret
//! and, for credentials that run out, an end. The enum is closed on purpose: every kind is on one
//! screen, and configuration, metrics and documentation match over all of them. This crate knows
//! nothing of PostgreSQL's login messages.
//!
//! Start from [`Source::resolve`].

mod lease;
mod password;
mod source;

pub use lease::Lease;
pub use password::Password;
pub use source::{CredentialError, Source};
