//! What an agent has received, put into order.

use std::collections::BTreeMap;

use super::super::message::{Broken, Message, digest};

/// Orders the client's messages by the rules of agent/session/datachannel/datachannel.go.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    expected: i64,
    early: BTreeMap<i64, Message>,
    /// Of the last messages seen, to notice copies that are none.
    digests: BTreeMap<i64, [u8; 32]>,
}

/// What is to be done with a message.
#[derive(Debug)]
pub(super) enum Place {
    /// Process it, then acknowledge it, then take what [`Inbox::ready`] has.
    Next(Message),
    /// Acknowledge it: it is kept for later, or was seen before.
    Known,
    /// Nothing: the client will repeat it.
    NoRoom,
}

impl Inbox {
    pub(super) fn place(&mut self, message: Message) -> Result<Place, Broken> {
        self.check_copy(&message)?;
        if message.sequence == self.expected {
            self.expected += 1;
            return Ok(Place::Next(message));
        }
        if message.sequence < self.expected || self.early.contains_key(&message.sequence) {
            return Ok(Place::Known);
        }
        if self.early.len() >= ROOM {
            return Ok(Place::NoRoom);
        }
        self.early.insert(message.sequence, message);
        Ok(Place::Known)
    }

    /// The next message of those that came early, acknowledged already.
    pub(super) fn ready(&mut self) -> Option<Message> {
        let message = self.early.remove(&self.expected)?;
        self.expected += 1;
        Some(message)
    }

    fn check_copy(&mut self, message: &Message) -> Result<(), Broken> {
        let digest = digest(&message.payload);
        let sequence = message.sequence;
        if *self.digests.entry(sequence).or_insert(digest) != digest {
            return Err(Broken(format!("message {sequence} twice with different payloads")));
        }
        if self.digests.len() > REMEMBERED {
            self.digests.pop_first();
        }
        Ok(())
    }
}

const ROOM: usize = 100_000;
const REMEMBERED: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssm::message::{Kind, random_id};

    fn message(sequence: i64, payload: &[u8]) -> Message {
        let (kind, flags, id, payload_type) = (Kind::Input, 0, random_id(), 1);
        Message { kind, sequence, flags, id, payload_type, payload: payload.to_vec() }
    }

    #[test]
    fn early_messages_wait_for_those_before_them() {
        let mut inbox = Inbox::default();
        assert!(matches!(inbox.place(message(1, b"b")), Ok(Place::Known)));
        assert!(inbox.ready().is_none());
        assert!(matches!(inbox.place(message(0, b"a")), Ok(Place::Next(_))));
        assert_eq!(inbox.ready().unwrap().payload, b"b");
        assert!(matches!(inbox.place(message(0, b"a")), Ok(Place::Known)));
    }

    #[test]
    fn a_copy_that_differs_is_refused() {
        let mut inbox = Inbox::default();
        inbox.place(message(0, b"a")).unwrap();
        assert!(inbox.place(message(0, b"b")).unwrap_err().0.contains("different payloads"));
    }
}
