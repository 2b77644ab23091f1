//! This crate against a simulated AWS, each test in a child process with an environment of its own:
//! what the SDK reads (environment, files, HOME) belongs to the whole process.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

mod accounts;
mod answers;
mod child;
mod denials;
mod discovery;
mod logs;
mod network;
mod sso;
mod stranger;
