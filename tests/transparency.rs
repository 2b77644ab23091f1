//! The same bytes sent to the database directly and through pgferry get the same bytes back, whatever
//! the transport.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking, also in what it shares"
)]

mod support;

#[path = "transparency/clients.rs"]
mod clients;
#[path = "transparency/copy.rs"]
mod copy;
#[path = "transparency/endings.rs"]
mod endings;
#[path = "transparency/extended.rs"]
mod extended;
#[path = "transparency/large.rs"]
mod large;
#[path = "transparency/notify.rs"]
mod notify;
#[path = "transparency/openings.rs"]
mod openings;
#[path = "transparency/simple.rs"]
mod simple;
#[path = "transparency/stage.rs"]
mod stage;
