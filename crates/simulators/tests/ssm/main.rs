//! The simulated Session Manager, spoken to by a client of a few lines.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod breaches;
mod calls;
mod client;
mod faults;
mod listing;
mod plain;
mod refusals;
mod sessions;
mod target;
mod tls;
mod wire;
