//! What the name of an AWS database endpoint says. Pure: it resolves nothing and asks nobody.
//!
//! Start from [`Endpoint::parse`]; [`Roots::of`] gives the certificate authorities that belong to it.

mod name;
mod roots;

pub use name::{Endpoint, Kind};
pub use roots::{NoRoots, Roots};
