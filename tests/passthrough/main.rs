//! `credential = { kind = "passthrough" }`: the application's own user and password at the database.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod commands;
mod local_tls;
mod logins;
mod refusals;
mod stage;
#[path = "../support/mod.rs"]
mod support;
