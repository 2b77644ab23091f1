//! Access to databases against a simulated AWS, each test in a process of its own: what the SDK reads
//! (environment, files, HOME) belongs to the whole process.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

mod data_api;
mod endpoints;
mod passwords;
mod secrets;
mod tokens;
mod world;
