//! What the name of an AWS database endpoint says. Pure: it resolves nothing and asks nobody.
//!
//! Start from [`Endpoint::parse`].

mod name;

pub use name::{Endpoint, Kind};
