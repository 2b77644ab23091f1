//! PostgreSQL's protocol rules, pure: no sockets, no clock, no runtime.
//!
//! What it is: the part of a proxy that knows what bytes mean. It finds message boundaries in a
//! stream ([`frame::Framer`]), walks the first packets of a connection ([`startup::Machine`]),
//! encodes and decodes what a login needs ([`message`], [`scram`]), and follows both directions of
//! a running session to time its operations ([`session::Session`]).
//!
//! What it is not: a client, a server, or an SQL parser. It never reads a socket or a clock; bytes,
//! time and random numbers come in as arguments. Whatever comes from a peer is distrusted: lengths
//! are bounded, faults are typed, and nothing panics.
//!
//! Start from [`frame::Framer`], [`startup::Machine`] and [`session::Session`].

pub mod cancel;
pub mod error_report;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod message;
pub mod operation;
pub mod passthrough;
pub mod scram;
pub mod session;
pub mod sql_state;
pub mod startup;

pub use cancel::CancelKey;
pub use error_report::{ErrorReport, Notice, Severity};
pub use operation::Operation;
pub use session::Session;
pub use sql_state::SqlState;
