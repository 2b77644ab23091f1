//! The simulated Session Manager, spoken to by a client of a few lines.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod calls;
mod client;
mod refusals;
mod sessions;
mod wire;
