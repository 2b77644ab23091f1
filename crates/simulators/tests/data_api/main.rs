//! The simulated Data API, spoken to over plain HTTP.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail the test")]

mod batches;
mod client;
mod errors;
mod faults;
mod limits;
mod parameters;
mod results;
mod sdk;
mod sessions;
mod transactions;
