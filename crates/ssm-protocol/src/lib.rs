//! The data channel of AWS Session Manager, as rules without a socket.
//!
//! What it is: the messages and their codec ([`AgentMessage`]), and delivery of every byte once and in order over
//! a connection that breaks ([`Channel`]). What it is not: a WebSocket, a caller of AWS, a clock or a source of
//! randomness. The caller dials, signs, pings and waits; [`Moment`] and the seed of the names of messages come
//! in from it.
//!
//! Start at [`Channel`]: frames of the WebSocket go in, and frames for it come out.

mod acknowledgement;
mod channel;
mod channel_closed;
mod flag;
mod incoming;
mod message;
mod message_id;
mod message_type;
mod moment;
mod open;
mod outgoing;
mod pace;
mod payload_type;
mod rtt;
mod version;

pub use acknowledgement::Acknowledgement;
pub use channel::{Channel, Event, Limits, Role};
pub use channel_closed::ChannelClosed;
pub use flag::Flag;
pub use incoming::Received;
pub use message::{AgentMessage, MAX_FRAME, MessageError};
pub use message_type::MessageType;
pub use moment::Moment;
pub use open::OpenDataChannel;
pub use payload_type::PayloadType;
pub use version::{CLIENT_VERSION, NotFourNumbers, Version};
