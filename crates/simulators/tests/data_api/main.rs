//! The simulated Data API, spoken to over plain HTTP.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail the test")]

mod client;
mod errors;
mod parameters;
mod results;
mod transactions;
