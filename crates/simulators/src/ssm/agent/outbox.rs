//! What an agent has sent and has no receipt for.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::super::message::{Broken, Kind, Message, SYN, random_id};

/// Numbers messages, keeps them until they are acknowledged, and says which to repeat: the oldest
/// alone, as in agent/session/datachannel/datachannel.go.
#[derive(Debug)]
pub(super) struct Outbox {
    next: i64,
    waiting: VecDeque<Waiting>,
    estimate: Estimate,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    sent: Instant,
}

/// A timeout as TCP has it, with the agent's constants.
#[derive(Debug)]
struct Estimate {
    round_trip: Duration,
    variation: Duration,
    timeout: Duration,
}

impl Outbox {
    pub(super) fn new() -> Self {
        let estimate = Estimate {
            round_trip: Duration::from_millis(100),
            variation: Duration::ZERO,
            timeout: Duration::from_millis(200),
        };
        Self { next: 0, waiting: VecDeque::new(), estimate }
    }

    /// Makes the next message and keeps it, if there is room.
    pub(super) fn number(&mut self, payload_type: u32, payload: Vec<u8>, now: Instant) -> Message {
        let message = Message {
            kind: Kind::Output,
            sequence: self.next,
            flags: if self.next == 0 { SYN } else { 0 },
            id: random_id(),
            payload_type,
            payload,
        };
        self.next += 1;
        if self.waiting.len() < ROOM {
            self.waiting.push_back(Waiting { message: message.clone(), sent: now });
        }
        message
    }

    /// Takes the client's receipt; one for a message that was never sent breaks the rules, as does
    /// a wrong id.
    pub(super) fn acknowledged(&mut self, receipt: &[u8], now: Instant) -> Result<(), Broken> {
        let (sequence, id) = receipt_fields(receipt)
            .ok_or_else(|| Broken(format!("receipt {}", String::from_utf8_lossy(receipt))))?;
        if sequence < 0 || sequence >= self.next {
            return Err(Broken(format!("a receipt for message {sequence}, never sent")));
        }
        let found = self.waiting.iter().position(|it| it.message.sequence == sequence);
        let Some(waiting) = found.and_then(|at| self.waiting.remove(at)) else { return Ok(()) };
        if waiting.message.id.to_string() != id {
            return Err(Broken(format!("a receipt for message {sequence} with the id {id}")));
        }
        self.estimate.learn(now.duration_since(waiting.sent));
        Ok(())
    }

    /// The message to repeat now, if any.
    pub(super) fn due(&mut self, now: Instant) -> Option<Message> {
        let oldest = self.waiting.front_mut()?;
        if now.duration_since(oldest.sent) <= self.estimate.timeout {
            return None;
        }
        oldest.sent = now;
        Some(oldest.message.clone())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Estimate {
    fn learn(&mut self, sample: Duration) {
        let away = self.round_trip.abs_diff(sample);
        self.variation = self.variation * 3 / 4 + away / 4;
        self.round_trip = self.round_trip * 7 / 8 + sample / 8;
        let slack = (self.variation * 4).max(Duration::from_millis(10));
        self.timeout = (self.round_trip + slack).min(Duration::from_secs(1));
    }
}

/// Sequence number and id; none if a field is missing or wrong.
fn receipt_fields(receipt: &[u8]) -> Option<(i64, String)> {
    let value: Value = serde_json::from_slice(receipt).ok()?;
    let text = |name| value.get(name).and_then(Value::as_str);
    let right = text("AcknowledgedMessageType") == Some("output_stream_data")
        && value.get("IsSequentialMessage") == Some(&Value::Bool(true));
    let sequence = value.get("AcknowledgedMessageSequenceNumber").and_then(Value::as_i64)?;
    let id = text("AcknowledgedMessageId")?;
    right.then(|| (sequence, id.to_owned()))
}

/// Messages beyond are sent and never repeated.
const ROOM: usize = 100_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn receipt(message: &Message) -> Vec<u8> {
        let receipt = json!({
            "AcknowledgedMessageType": "output_stream_data",
            "AcknowledgedMessageId": message.id.to_string(),
            "AcknowledgedMessageSequenceNumber": message.sequence,
            "IsSequentialMessage": true,
        });
        receipt.to_string().into_bytes()
    }

    #[test]
    fn only_the_oldest_message_is_repeated_and_only_when_late() {
        let mut outbox = Outbox::new();
        let start = Instant::now();
        let first = outbox.number(1, vec![1], start);
        let second = outbox.number(1, vec![2], start);
        assert!(outbox.due(start + Duration::from_millis(200)).is_none());
        let late = start + Duration::from_millis(201);
        assert_eq!(outbox.due(late).unwrap().sequence, 0);
        assert!(outbox.due(late).is_none());
        outbox.acknowledged(&receipt(&second), late).unwrap();
        outbox.acknowledged(&receipt(&second), late).unwrap();
        assert!(!outbox.is_empty());
        outbox.acknowledged(&receipt(&first), late).unwrap();
        assert!(outbox.is_empty());
    }

    #[test]
    fn receipts_that_fit_no_message_are_refused() {
        let mut outbox = Outbox::new();
        let now = Instant::now();
        let message = outbox.number(1, vec![1], now);
        let unsent = Message { sequence: 1, ..message.clone() };
        assert!(outbox.acknowledged(&receipt(&unsent), now).is_err());
        assert!(outbox.acknowledged(b"{}", now).is_err());
        let other = Message { id: random_id(), ..message };
        assert!(outbox.acknowledged(&receipt(&other), now).unwrap_err().0.contains("with the id"));
    }
}
