//! The ssh transport against OpenSSH's own server.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test's helpers may fail the test"
)]

mod agent;
mod aliases;
mod authority;
mod certificates;
mod databases;
mod destinations;
mod host_certificates;
mod host_keys;
mod jumps;
mod logins;
mod passphrases;
mod sharing;
mod ssh_config;
mod sshd;
mod streams;
mod world;
