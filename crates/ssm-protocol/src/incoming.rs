use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use uuid::Uuid;

use crate::acknowledgement::Acknowledgement;
use crate::channel::{Limits, Role};
use crate::message::AgentMessage;
use crate::message_type::MessageType;
use crate::payload_type::PayloadType;

/// A stream message whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What the payload is.
    pub payload_type: PayloadType,
    /// As it was sent.
    pub payload: Bytes,
}

/// Puts the peer's messages in order, and knows which receipts are due.
///
/// One store holds both what came too early and what nobody has taken yet. What does not fit is dropped without
/// a receipt, so that the peer keeps it and sends it again. Everything else gets one, however often it comes: a peer
/// whose receipt was lost repeats that message, and no other, until it has one. For the same reason the last receipts go
/// again on a new connection: those that the old one lost would cost a tenth of a second each, one after the other.
#[derive(Debug)]
pub(crate) struct Incoming {
    expected: i64,
    held: BTreeMap<i64, Received>,
    held_bytes: usize,
    /// By number: receipts for copies of one message are one receipt, so their number is bounded.
    receipts: BTreeMap<i64, Uuid>,
    /// Of payload, copies left out.
    received_bytes: u64,
    copies: u64,
    /// The last receipts that were sent: nobody says whether they arrived.
    given: VecDeque<(i64, Uuid)>,
    limits: Limits,
}

impl Incoming {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            expected: 0,
            held: BTreeMap::new(),
            held_bytes: 0,
            receipts: BTreeMap::new(),
            received_bytes: 0,
            copies: 0,
            given: VecDeque::new(),
            limits,
        }
    }

    pub(crate) fn on_message(&mut self, message: AgentMessage) {
        let number = message.sequence_number;
        // Only for a peer that floods us while nothing can be sent. It repeats what it has no receipt for.
        if self.receipts.len() >= self.limits.gap_messages.saturating_mul(2) {
            return;
        }
        let known = number < self.expected || self.held.contains_key(&number);
        if known {
            self.copies += 1;
        } else {
            if !self.fits(number, message.payload.len()) {
                return;
            }
            self.held_bytes += message.payload.len();
            self.received_bytes += message.payload.len() as u64;
            let AgentMessage { payload_type, payload, .. } = message;
            self.held.insert(number, Received { payload_type, payload });
        }
        self.receipts.insert(number, message.id);
    }

    /// The next message in order.
    pub(crate) fn take(&mut self) -> Option<Received> {
        let received = self.held.remove(&self.expected)?;
        self.expected = self.expected.saturating_add(1);
        self.held_bytes -= received.payload.len();
        Some(received)
    }

    /// Whether the connection should be read: not while the store is full of messages that could be taken.
    pub(crate) fn wants_more(&self) -> bool {
        !self.is_full() || !self.held.contains_key(&self.expected)
    }

    /// On a new connection the last receipts go again.
    pub(crate) fn resume(&mut self) {
        self.receipts.extend(self.given.drain(..));
    }

    /// The next receipt that is due. The lowest first: it is the one its sender waits for.
    pub(crate) fn take_receipt(&mut self, peer: Role) -> Option<Acknowledgement> {
        let (number, id) = self.receipts.pop_first()?;
        if self.given.len() >= GIVEN {
            self.given.pop_front();
        }
        self.given.push_back((number, id));
        Some(Acknowledgement::new(&peer.stream_type(), id, number))
    }

    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    pub(crate) fn copies(&self) -> u64 {
        self.copies
    }

    pub(crate) fn has_receipts(&self) -> bool {
        !self.receipts.is_empty()
    }

    /// The message everybody waits for always fits, or a store full of later ones would never empty.
    fn fits(&self, number: i64, length: usize) -> bool {
        let bytes = self.held_bytes.saturating_add(length);
        let room = self.held.len() < self.limits.gap_messages && bytes <= self.limits.gap_bytes;
        number == self.expected || room
    }

    fn is_full(&self) -> bool {
        self.held.len() >= self.limits.held_messages || self.held_bytes >= self.limits.held_bytes
    }
}

/// More than an agent sends in a round trip, and what a client's buffers hold of receipts.
const GIVEN: usize = 512;

impl Role {
    /// The type of the stream messages that this side sends.
    pub(crate) fn stream_type(self) -> MessageType {
        match self {
            Self::Client => MessageType::InputStreamData,
            Self::Agent => MessageType::OutputStreamData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: i64) -> AgentMessage {
        AgentMessage {
            message_type: MessageType::OutputStreamData,
            schema_version: 1,
            created_date: 1,
            sequence_number: number,
            flags: 0,
            id: Uuid::from_u128(9),
            payload_type: PayloadType::Output,
            payload: Bytes::copy_from_slice(&number.to_be_bytes()),
        }
    }

    fn receipts(incoming: &mut Incoming) -> Vec<i64> {
        std::iter::from_fn(|| incoming.take_receipt(Role::Agent))
            .map(|receipt| receipt.acknowledged_message_sequence_number)
            .collect()
    }

    fn taken(incoming: &mut Incoming) -> Vec<i64> {
        std::iter::from_fn(|| incoming.take())
            .map(|received| i64::from_be_bytes(received.payload[..].try_into().unwrap()))
            .collect()
    }

    #[test]
    fn what_comes_too_early_waits_for_what_is_missing() {
        let mut incoming = Incoming::new(Limits::default());
        incoming.on_message(message(2));
        incoming.on_message(message(1));
        assert!(incoming.take().is_none());
        assert_eq!(receipts(&mut incoming), [1, 2], "early messages have their receipts at once");
        incoming.on_message(message(0));
        assert_eq!(taken(&mut incoming), [0, 1, 2]);
    }

    #[test]
    fn every_copy_has_its_receipt_and_is_taken_once() {
        let mut incoming = Incoming::new(Limits::default());
        for _ in 0..2 {
            incoming.on_message(message(0));
            incoming.on_message(message(1));
            assert_eq!(receipts(&mut incoming), [0, 1]);
        }
        assert_eq!(taken(&mut incoming), [0, 1]);
        incoming.on_message(message(0));
        assert_eq!(receipts(&mut incoming), [0]);
        assert!(incoming.take().is_none());
    }

    #[test]
    fn a_full_store_takes_the_missing_message_and_gives_no_receipt_for_others() {
        let limits = Limits { held_messages: 2, gap_messages: 2, ..Limits::default() };
        let mut incoming = Incoming::new(limits);
        for number in [1, 2, 3] {
            incoming.on_message(message(number));
        }
        assert!(incoming.wants_more(), "message 0 has to come in");
        incoming.on_message(message(0));
        assert_eq!(receipts(&mut incoming), [0, 1, 2]);
        assert!(!incoming.wants_more(), "somebody has to take them first");
        assert_eq!(taken(&mut incoming), [0, 1, 2]);
        assert!(incoming.wants_more());
    }

    #[test]
    fn while_a_message_is_missing_more_is_kept_than_makes_the_reading_stop() {
        let limits = Limits { held_messages: 2, gap_messages: 4, ..Limits::default() };
        let mut incoming = Incoming::new(limits);
        for number in [1, 2, 3, 4, 5] {
            incoming.on_message(message(number));
        }
        assert!(incoming.wants_more(), "message 0 has to come in");
        assert_eq!(receipts(&mut incoming), [1, 2, 3, 4], "the peer need not repeat them");
        incoming.on_message(message(0));
        assert!(!incoming.wants_more());
        assert_eq!(taken(&mut incoming), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_last_receipts_go_again_on_a_new_connection() {
        let mut incoming = Incoming::new(Limits::default());
        for number in 0..600 {
            incoming.on_message(message(number));
            incoming.take();
            assert_eq!(receipts(&mut incoming), [number]);
        }
        incoming.on_message(message(600));
        incoming.resume();
        let again = receipts(&mut incoming);
        assert_eq!(again, (600 - 512..=600).collect::<Vec<i64>>());
    }

    #[test]
    fn receipts_that_cannot_go_are_bounded() {
        let limits = Limits { gap_messages: 2, ..Limits::default() };
        let mut incoming = Incoming::new(limits);
        for number in 0..100 {
            incoming.on_message(message(number));
            incoming.take();
        }
        assert_eq!(receipts(&mut incoming), [0, 1, 2, 3]);
        incoming.on_message(message(4));
        assert_eq!(taken(&mut incoming), [4], "a message without a receipt is as if never seen");
    }
}
