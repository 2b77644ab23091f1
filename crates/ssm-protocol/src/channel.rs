use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::acknowledgement::Acknowledgement;
use crate::channel_closed::ChannelClosed;
use crate::incoming::{Incoming, Received};
use crate::message::{AgentMessage, MessageError};
use crate::message_id::MessageIds;
use crate::message_type::MessageType;
use crate::moment::Moment;
use crate::outgoing::Outgoing;
use crate::payload_type::PayloadType;
use crate::tally::Tally;

/// One session's data channel: every byte once and in order, over connections that come and go.
///
/// The caller reads frames while [`wants_frames`](Self::wants_frames) and gives them to [`on_frame`](Self::on_frame), takes
/// messages with [`receive`](Self::receive), sends what [`poll_transmit`](Self::poll_transmit) returns until it is
/// nothing, and comes back at [`next_wakeup`](Self::next_wakeup). It says when a WebSocket is
/// [connected](Self::connected) and [disconnected](Self::disconnected); numbers and buffers outlive it, and there is no
/// second handshake.
///
/// Nothing here is unbounded ([`Limits`]), and nothing is dropped that the peer would not send again.
#[derive(Debug)]
pub struct Channel {
    role: Role,
    link: Link,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Of receipts, which are never repeated and need no names that last.
    ids: MessageIds,
    /// When the agent last gave a sign of life, or this connection began.
    signs_at: Duration,
    /// How many signs of life there were.
    signs: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Link {
    Down,
    Up,
}

/// Which end a channel is. The agent's exists to test the client's against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends `input_stream_data`.
    Client,
    /// Sends `output_stream_data`.
    Agent,
}

/// What a channel may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Stream messages a second, repetitions included. Around 1,000 the service has been seen to cut the session off.
    pub messages_per_second: u32,
    /// Most data in a message. Both original ends send 1,024 bytes.
    pub payload_bytes: usize,
    /// Data that waits for its message; [`Channel::write`] takes no more.
    pub unsent_bytes: usize,
    /// Messages without a receipt; beyond, data waits. What the pace sends in a round trip is what can be used.
    pub unacknowledged_messages: usize,
    /// Messages that nobody has taken: beyond, the connection is [not read](Channel::wants_frames).
    pub held_messages: usize,
    /// The same in bytes of payload.
    pub held_bytes: usize,
    /// Messages that are kept at all, most of which wait for one that is missing. The agent repeats at best ten messages a
    /// second and goes on sending meanwhile: what does not fit has to be repeated as well. One more is taken
    /// if it is the missing one.
    pub gap_messages: usize,
    /// The same in bytes of payload.
    pub gap_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_per_second: 900,
            payload_bytes: 1024,
            unsent_bytes: 64 * 1024,
            unacknowledged_messages: 2048,
            held_messages: 10_000,
            held_bytes: 4 * 1024 * 1024,
            gap_messages: 40_000,
            gap_bytes: 32 * 1024 * 1024,
        }
    }
}

/// What a frame was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Part of the stream: [`Channel::receive`] may have something. It may also have been a copy.
    Stream,
    /// A receipt: there may be room for data.
    Acknowledged,
    /// The service wants no new data. It may never say that it does again: see [`Channel::paused_for`].
    Paused,
    /// The service wants data again.
    Started,
    /// The session is over.
    Closed(ChannelClosed),
    /// Nothing that concerns this end.
    Ignored(MessageType),
}

impl Channel {
    /// After so long a pause, the WebSocket is worth replacing: no service has been seen to end one by itself.
    pub const PAUSE_LIMIT: Duration = Duration::from_secs(10);

    /// A channel before its first WebSocket. `seed`: random.
    pub fn new(role: Role, limits: Limits, seed: Uuid) -> Self {
        let mut ids = MessageIds::new(seed);
        let outgoing = Outgoing::new(role, limits, MessageIds::new(ids.draw()));
        let (incoming, signs_at) = (Incoming::new(limits), Duration::ZERO);
        Self { role, link: Link::Down, incoming, outgoing, ids, signs_at, signs: 0 }
    }

    /// A WebSocket is open, and its first message is sent. On every one but the first, everything that has no receipt goes
    /// again, and so do the last receipts.
    pub fn connected(&mut self, now: Moment) {
        self.link = Link::Up;
        self.incoming.resume();
        self.outgoing.resume(now.monotonic);
        self.signs_at = now.monotonic;
    }

    /// The WebSocket is gone. Until there is another, data is taken as far as there is room, and nothing is sent.
    pub fn disconnected(&mut self) {
        self.link = Link::Down;
    }

    /// The handshake is complete: from now on data is sent. Before, the agent would throw it away.
    pub fn handshake_completed(&mut self) {
        self.outgoing.let_data_flow();
    }

    /// A binary frame has come.
    ///
    /// # Errors
    /// It is none of the protocol: the peer's fault. It counts as lost, and the channel goes on.
    pub fn on_frame(&mut self, frame: &Bytes, now: Moment) -> Result<Event, MessageError> {
        let message = AgentMessage::decode(frame)?;
        if message.message_type == self.role.peer().stream_type() {
            self.on_sign_of_life(now);
            self.incoming.on_message(message);
            return Ok(Event::Stream);
        }
        Ok(match message.message_type {
            MessageType::Acknowledge => {
                let receipt = Acknowledgement::decode(&message.payload)
                    .map_err(|_| MessageError::Acknowledgement)?;
                self.on_sign_of_life(now);
                let number = receipt.acknowledged_message_sequence_number;
                self.outgoing.acknowledge(number, now.monotonic);
                Event::Acknowledged
            }
            MessageType::ChannelClosed => Event::Closed(ChannelClosed::decode(&message.payload)),
            MessageType::PausePublication => {
                self.outgoing.pause(now.monotonic);
                Event::Paused
            }
            MessageType::StartPublication => {
                self.outgoing.unpause();
                Event::Started
            }
            other @ (MessageType::InputStreamData
            | MessageType::OutputStreamData
            | MessageType::AgentSessionState
            | MessageType::Other(_)) => Event::Ignored(other),
        })
    }

    fn on_sign_of_life(&mut self, now: Moment) {
        self.outgoing.unpause();
        self.signs_at = now.monotonic;
        self.signs += 1;
    }

    /// The peer's next message in order.
    pub fn receive(&mut self) -> Option<Received> {
        self.incoming.take()
    }

    /// Whether to read the WebSocket. If not, messages have to be [taken](Self::receive) first; reading on loses nothing,
    /// but the peer has to repeat what does not fit, one message at a time.
    pub fn wants_frames(&self) -> bool {
        self.incoming.wants_more()
    }

    /// How many bytes [`write`](Self::write) takes now. Zero is back-pressure: receipts make room.
    pub fn room(&self) -> usize {
        self.outgoing.room()
    }

    /// Takes data, as much as there is room for, and says how much that was.
    pub fn write(&mut self, data: &[u8]) -> usize {
        self.outgoing.write(data)
    }

    /// Queues a message of the handshake or a flag. It goes before data that is not sent yet, during a pause too. False: 64
    /// are waiting already, and this one was not taken.
    #[must_use = "it may not have been taken"]
    pub fn send_control(&mut self, payload_type: PayloadType, payload: Bytes) -> bool {
        self.outgoing.send_control(payload_type, payload)
    }

    /// The next frame to send now. Receipts come first and are not paced: a late one makes the peer repeat itself.
    pub fn poll_transmit(&mut self, now: Moment) -> Option<Bytes> {
        if self.link == Link::Down {
            return None;
        }
        let Some(receipt) = self.incoming.take_receipt(self.role.peer()) else {
            return self.outgoing.poll_transmit(now);
        };
        let message = AgentMessage {
            message_type: MessageType::Acknowledge,
            schema_version: 1,
            created_date: now.unix_millis.max(1),
            sequence_number: 0,
            flags: AgentMessage::SYN | AgentMessage::FIN,
            id: self.ids.draw(),
            payload_type: PayloadType::None,
            payload: receipt.encode(),
        };
        Some(message.encode())
    }

    /// When to call [`poll_transmit`](Self::poll_transmit) again if nothing else happens, as [`Moment::monotonic`]; not
    /// before `now`. Nothing: only a frame, a write or a WebSocket changes anything.
    pub fn next_wakeup(&self, now: Moment) -> Option<Duration> {
        match self.link {
            Link::Down => None,
            Link::Up if self.incoming.has_receipts() => Some(now.monotonic),
            Link::Up => self.outgoing.next_wakeup(now.monotonic),
        }
    }

    /// How long the service has been pausing us. Beyond [`PAUSE_LIMIT`](Self::PAUSE_LIMIT), resume the session.
    pub fn paused_for(&self, now: Moment) -> Option<Duration> {
        self.outgoing.paused_for(now.monotonic)
    }

    /// How long messages have been waiting for receipts on this WebSocket without a single one: the agent may be gone
    /// although the service answers pings, or its database does not read what we send. Nothing if no message waits.
    pub fn unheard_for(&self, now: Moment) -> Option<Duration> {
        self.outgoing.unheard_for(now.monotonic)
    }

    /// What it has carried so far, over all its `WebSocket`s.
    pub fn tally(&self) -> Tally {
        Tally {
            sent_bytes: self.outgoing.sent_bytes(),
            received_bytes: self.incoming.received_bytes(),
            repeated: self.outgoing.repeated(),
            copies: self.incoming.copies(),
        }
    }

    /// How long the latest receipt took of a message that was sent once: there, through the agent, and back. Nothing if
    /// there was none since this was asked.
    pub fn take_round_trip(&mut self) -> Option<Duration> {
        self.outgoing.take_round_trip()
    }

    /// How long the agent has given no sign of life on this WebSocket, while messages wait for receipts: neither a receipt
    /// nor a message, copies included. Nothing if no message waits: then there is nothing it would have to say.
    pub fn silent_for(&self, now: Moment) -> Option<Duration> {
        let waiting = self.outgoing.oldest_sent_at()?;
        Some(now.monotonic.saturating_sub(waiting.max(self.signs_at)))
    }

    /// How many signs of life the agent has given, over all `WebSocket`s.
    pub fn signs_of_life(&self) -> u64 {
        self.signs
    }

    /// Whether the peer has everything that was written.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }
}

impl Role {
    fn peer(self) -> Self {
        match self {
            Self::Client => Self::Agent,
            Self::Agent => Self::Client,
        }
    }
}
