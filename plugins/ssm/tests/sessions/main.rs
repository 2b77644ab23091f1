//! Sessions against the simulated Session Manager, which ends those of a client that breaks a rule.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]

mod account;
mod ends;
mod idle;
mod measuring;
mod pooling;
mod proxy;
mod raw;
mod refusals;
mod resuming;
mod storms;
mod streams;
mod stuck;
mod world;
