//! Sessions against the simulated Session Manager, which ends those of a client that breaks a rule.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]

mod ends;
mod pooling;
mod raw;
mod refusals;
mod resuming;
mod streams;
mod world;
