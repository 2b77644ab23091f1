//! The data channel of AWS Session Manager, as rules without a socket.
//!
//! What it is: the messages and their codec ([`AgentMessage`]), delivery of every byte once and in order over
//! a connection that breaks ([`Channel`]), the opening conversation ([`Handshake`]), and several connections in one
//! session ([`smux::Session`]) or one as it is ([`raw::Connection`]). What it is not: a WebSocket, a caller of AWS, a clock or a source of
//! randomness. The caller dials, signs, pings and waits; [`Moment`] and the
//! seed of the names of messages come in from it.
//!
//! Start at [`Channel`]: frames of the WebSocket go in, and frames for it come out. The wire itself is described in
//! `docs/ssm-protocol.md`, with how sure each fact is.

mod acknowledgement;
mod channel;
mod channel_closed;
mod flag;
mod handshake;
mod handshake_json;
mod incoming;
mod message;
mod message_id;
mod message_type;
mod moment;
mod open;
mod outgoing;
mod pace;
mod payload_type;
pub mod raw;
mod rtt;
pub mod smux;
mod tally;
mod version;

pub use acknowledgement::Acknowledgement;
pub use channel::{Channel, Event, Limits, Role};
pub use channel_closed::ChannelClosed;
pub use flag::Flag;
pub use handshake::{Agreement, Handshake, HandshakeError, Mode, Progress};
pub use incoming::Received;
pub use message::{AgentMessage, MAX_FRAME, MessageError};
pub use message_type::MessageType;
pub use moment::Moment;
pub use open::OpenDataChannel;
pub use payload_type::PayloadType;
pub use tally::Tally;
pub use version::{CLIENT_VERSION, NotFourNumbers, Version};
