//! The transport contract in C types: a header and its Rust mirror, nothing else.
