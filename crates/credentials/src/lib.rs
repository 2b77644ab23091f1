//! Who pgferry is to the database, and where that is.
//!
//! A [`Source`] says where a credential comes from, a [`Location`] how the database is found; together
//! they are an [`Access`], whose [`Attempt`]s give [`Offer`]s: an endpoint, and a [`Lease`] with
//! user, proof and end. The enums are closed on purpose: every kind is on one screen, and
//! configuration, metrics and documentation match over all of them. This crate knows nothing of
//! PostgreSQL's login messages, and opens no connection to a database.
//!
//! Start from [`Access::attempt`].

mod access;
mod data_api;
mod error;
mod lease;
mod location;
mod lookup;
mod password;
mod renewal;
mod secret;
mod shared;
mod source;
mod token;

pub use access::{Access, Attempt, Offer};
pub use data_api::DataApi;
pub use error::{CredentialError, WithoutRegion};
pub use lease::{Lease, Proof};
pub use location::{Location, Role};
pub use password::Password;
pub use source::{Secret, Source};
