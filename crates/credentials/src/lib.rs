//! Who pgferry is to the database, and where that is.
//!
//! A [`Source`] says where a credential comes from, a [`Location`] how the database is found; together
//! they are an [`Access`], whose [`Attempt`]s give [`Offer`]s: an endpoint, and a [`Lease`] with
//! user, proof and end. The enums are closed on purpose: every kind is on one screen, and
//! configuration, metrics and documentation match over all of them. This crate knows nothing of
//! PostgreSQL's login messages.
//!
//! Start from [`Access::attempt`].

mod access;
mod lease;
mod location;
mod password;
mod source;

pub use access::{Access, Attempt, Offer};
pub use lease::{Lease, Proof};
pub use location::Location;
pub use password::Password;
pub use source::{CredentialError, Source};
