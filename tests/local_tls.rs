//! TLS between applications and pgferry.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

#[path = "local_tls/files.rs"]
mod files;
#[path = "local_tls/local_ca.rs"]
mod local_ca;
#[path = "local_tls/psql.rs"]
mod psql;
#[path = "local_tls/stage.rs"]
mod stage;
#[path = "local_tls/wire.rs"]
mod wire;
