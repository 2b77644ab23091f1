//! What a plugin author in Rust uses: a trait, an export macro, a runtime, a logging bridge.
//!
//! Implement [`Transport`], name it with [`export_transport!`], build a `cdylib`. The result is a
//! plugin that pgferry loads, and the same crate as an `rlib` can be linked into the binary; the
//! source is the same, because an author never names a runtime (no `block_on`, no
//! `#[tokio::main]`): everything runs on the SDK's, or, linked in, on the host's.
//!
//! The SDK keeps the promises of the contract for you: every open is answered exactly once, a panic
//! becomes a status, the reason for a broken stream reaches the host before its socket is closed,
//! and nothing calls the host after `destroy` returned. All unsafe code is here.
//!
//! It isn't the host's side (`pgferry-transport`) and not the contract itself
//! (`pgferry-transport-abi`, whose C header is the specification).
//!
//! Start from [`Transport`], [`Stream`] and [`Error`].
//!
//! Logging is plain `tracing` (the `log` crate works too). Loaded, the SDK forwards it to the host;
//! linked in, it leaves the host's subscriber alone.

mod border;
mod context;
mod dial;
mod entry;
mod error;
mod export;
mod host;
mod instance;
mod interval;
mod logging;
mod metric;
mod op;
mod panics;
mod pump;
mod runtime;
mod secret;
mod stream;
mod target;
mod transport;

pub use context::Context;
pub use dial::DialStream;
pub use error::Error;
pub use host::{Host, State};
pub use interval::Interval;
pub use metric::Metric;
pub use pgferry_transport_abi::{EntryV1 as Entry, Flags, Status};
pub use runtime::link;
pub use secret::Secret;
pub use stream::Stream;
pub use target::{Purpose, Target};
pub use transport::Transport;

/// What [`export_transport!`] expands to.
#[doc(hidden)]
pub mod private {
    pub use crate::export::{descriptor, nul_terminated, schema};
    pub use pgferry_transport_abi::Plugin;
}
