//! What the integration tests share: the real binary, run against real servers.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    dead_code,
    reason = "Debug quotes paths as TOML wants them, a test ends by panicking, and every test binary uses its own part"
)]

pub(crate) mod client;
pub(crate) mod message;
pub(crate) mod pgferry;
pub(crate) mod plugin;
pub(crate) mod shared;
pub(crate) mod target;
pub(crate) mod terminal;
pub(crate) mod tls;
pub(crate) mod tool;
pub(crate) mod transcript;
pub(crate) mod wire;
pub(crate) mod world;

use std::time::Duration;

/// Longer than anything takes on a busy machine: running into it is a failure, never a wait.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
