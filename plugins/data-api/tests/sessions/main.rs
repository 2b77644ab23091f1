//! Sessions over a simulated Data API, which has a real PostgreSQL behind it.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod losses;
mod prepared;
mod psql;
mod results;
mod transactions;
mod world;
