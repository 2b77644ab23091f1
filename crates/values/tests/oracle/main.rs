//! Both conversions held against PostgreSQL, which prints the same values in both forms.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

mod clients;
mod containers;
mod dates;
mod floats;
mod geometry;
mod network;
mod numbers;
mod search;
mod server;
mod table;
mod texts;
