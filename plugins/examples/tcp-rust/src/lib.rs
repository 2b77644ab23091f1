//! The smallest complete transport plugin in Rust: plain TCP.
