//! The simulated AWS, spoken to over plain HTTP.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod client;
mod faults;
mod identity;
mod rds;
mod secrets;
mod sso;
