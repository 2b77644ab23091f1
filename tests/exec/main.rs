//! `pgferry exec` and `pgferry psql`: a command with a listener of its own.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod environment;
mod life;
mod outcome;
mod password;
mod running;
mod signals;
mod stage;
mod terminal;
