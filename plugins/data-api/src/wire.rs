//! The messages of a running session: what the application sends, read with distrust, and what it is answered.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>

pub(crate) mod backend;
pub(crate) mod frontend;
