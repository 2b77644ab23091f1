//! A certificate authority for this machine's loopback names, kept in a directory of its user.
//!
//! Whoever steals its key gains little: every certificate it signs is good for `localhost`,
//! 127.0.0.0/8 and `::1` alone, because its own certificate says so and clients heed that (RFC 5280,
//! section 4.2.1.10). It is no general authority and has no list of revoked certificates: those it
//! issues live in memory and end after days.
//!
//! Start from [`LocalCa::make`] and [`LocalCa::open`].

mod authority;
mod error;
mod store;

pub use authority::{Leaf, LocalCa};
pub use error::LocalCaError;
pub use store::{Made, certificate_file};
