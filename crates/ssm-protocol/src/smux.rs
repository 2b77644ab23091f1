//! smux version 1: several connections in the one byte stream of a session, as agents speak it.
//!
//! What it is: frames, and the client's end of a session of streams ([`Session`]). What it is not: version 2, which has
//! windows for each stream but which agents do not speak, nor the end that is opened to.
//!
//! # What bounds what
//!
//! Version 1 has no window of a stream: the agent sends what its database sends, and there is no way of telling it to hold one
//! stream back. A client can only let data lie, and lose it, or hold it, or stop the whole session. So here:
//!
//! - Each stream holds up to [`Limits::stream_bytes`] that nobody has read. Until then a stuck reader stalls nobody: the
//!   others' data pass it by.
//! - At the bound [`Session::on_bytes`] takes no more of the session's bytes and names the stream
//!   ([`Intake::Blocked`]). Nothing is lost: what is not taken stays in the [`Channel`](crate::Channel), whose own
//!   bound stops the reading of the connection, and then the agent. From here on the others wait too.
//! - Whether they have to wait is the caller's choice: it can put connections into sessions of their own, give a stuck
//!   stream some time, or [abandon](Session::abandon) it, which frees the others. Only a stream that was abandoned loses data, and whoever
//!   reads it sees an error instead of an end.
//! - Towards the agent each stream has [`Limits::unsent_bytes`], and the streams take turns, a frame each.
//!
//! Source of every fact about the wire: `frame.go`, `session.go`, `stream.go` of xtaci/smux, and
//! `agent/session/plugins/port/port_mux.go` of aws/amazon-ssm-agent.

mod frame;
mod session;
mod stream;

pub use frame::{Command, Header, InvalidProtocol};
pub use session::{Intake, Limits, OpenError, Session};
pub use stream::{End, Inbound, StreamId};
