//! The binary messages of a data channel, as a service and an agent read and write them.
//!
//! Layout: src/message/clientmessage.go of aws/session-manager-plugin and
//! agent/session/contracts/agentmessage.go of aws/amazon-ssm-agent. What those only tolerate is
//! refused here: a client under test has no reason to write it.

use std::fmt;

use bytes::Buf as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A message with a header of 116 bytes.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) sequence: i64,
    pub(super) flags: u64,
    pub(super) id: Uuid,
    pub(super) payload_type: u32,
    pub(super) payload: Vec<u8>,
}

/// What messages with such a header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `input_stream_data`, from the client.
    Input,
    /// `output_stream_data`, from the agent.
    Output,
    /// `acknowledge`, from both.
    Acknowledge,
}

/// A rule of the protocol that the client broke, in words for whoever reads the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) String);

impl Message {
    /// Reads what a client sent.
    pub(super) fn read(frame: &[u8]) -> Result<Self, Broken> {
        let Some((mut header, payload)) = frame.split_at_checked(PAYLOAD_AT) else {
            return Err(Broken(format!("a message of {} bytes has no whole header", frame.len())));
        };
        require("the header's length", header.get_u32(), HEADER)?;
        let kind = Kind::read(&header.copy_to_bytes(KIND_LENGTH))?;
        require("the schema version", header.get_u32(), 1)?;
        let created = header.get_u64();
        if !(YEAR_2020..YEAR_2100).contains(&created) {
            return Err(Broken(format!("{created} as date is no Unix time in milliseconds")));
        }
        let sequence = header.get_i64();
        let flags = header.get_u64();
        let (low, high) = (header.get_u64(), header.get_u64());
        let digest = header.copy_to_bytes(32);
        let payload_type = header.get_u32();
        let length = header.get_u32();
        if usize::try_from(length).ok() != Some(payload.len()) {
            let there = payload.len();
            return Err(Broken(format!("the payload's length is {length}, {there} bytes follow")));
        }
        if *digest != *Sha256::digest(payload) {
            return Err(Broken("the payload's digest is wrong".to_owned()));
        }
        let id = Uuid::from_u64_pair(high, low);
        let message = Self { kind, sequence, flags, id, payload_type, payload: payload.to_vec() };
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), Broken> {
        if self.id.is_nil() {
            return Err(Broken("the message's id is nil".to_owned()));
        }
        if self.payload.is_empty() {
            return Err(Broken("the payload is empty".to_owned()));
        }
        match self.kind {
            Kind::Acknowledge => {
                require("an acknowledgement's flags", self.flags, SYN | FIN)?;
                require("an acknowledgement's sequence number", self.sequence, 0)?;
                require("an acknowledgement's payload type", self.payload_type, 0)
            }
            Kind::Input if self.sequence < 0 => {
                Err(Broken(format!("sequence number {}", self.sequence)))
            }
            Kind::Input if self.flags & !SYN != 0 || self.flags == SYN && self.sequence != 0 => {
                Err(Broken(format!("flags {} on message {}", self.flags, self.sequence)))
            }
            Kind::Input => Ok(()),
            Kind::Output => Err(Broken("output_stream_data from a client".to_owned())),
        }
    }

    /// The frame, dated with `now` in Unix milliseconds.
    pub(super) fn write(&self, now: u64) -> Vec<u8> {
        let mut frame = Vec::with_capacity(PAYLOAD_AT + self.payload.len());
        frame.extend(HEADER.to_be_bytes());
        frame.extend(padded(self.kind.name()));
        frame.extend(1_u32.to_be_bytes());
        frame.extend(now.to_be_bytes());
        frame.extend(self.sequence.to_be_bytes());
        frame.extend(self.flags.to_be_bytes());
        frame.extend(swapped(self.id));
        frame.extend(Sha256::digest(&self.payload));
        frame.extend(self.payload_type.to_be_bytes());
        frame.extend(length(&self.payload));
        frame.extend(&self.payload);
        frame
    }
}

/// A message of the service's own, which has the older header of 112 bytes without a payload type.
/// Where `digest` is none, the field is left empty, as it has been seen on publication messages.
pub(super) fn control(
    kind: &str,
    payload: &[u8],
    (now, digest): (u64, Option<[u8; 32]>),
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER as usize + payload.len());
    frame.extend((HEADER - 4).to_be_bytes());
    frame.extend(padded(kind));
    frame.extend(1_u32.to_be_bytes());
    frame.extend(now.to_be_bytes());
    frame.extend(0_i64.to_be_bytes());
    frame.extend((SYN | FIN).to_be_bytes());
    frame.extend(swapped(random_id()));
    frame.extend(digest.unwrap_or_default());
    frame.extend(length(payload));
    frame.extend(payload);
    frame
}

pub(super) fn digest(payload: &[u8]) -> [u8; 32] {
    Sha256::digest(payload).into()
}

/// A version 4 UUID.
pub(super) fn random_id() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Input => "input_stream_data",
            Self::Output => "output_stream_data",
            Self::Acknowledge => "acknowledge",
        }
    }

    fn read(field: &[u8]) -> Result<Self, Broken> {
        let kinds = [Self::Input, Self::Output, Self::Acknowledge];
        kinds.into_iter().find(|kind| padded(kind.name()) == field).ok_or_else(|| {
            Broken(format!("{:?} is no type of message", String::from_utf8_lossy(field)))
        })
    }
}

fn require<T: PartialEq + fmt::Display + Copy>(what: &str, got: T, right: T) -> Result<(), Broken> {
    if got == right { Ok(()) } else { Err(Broken(format!("{what} is {got} instead of {right}"))) }
}

fn padded(name: &str) -> Vec<u8> {
    format!("{name:KIND_LENGTH$}").into_bytes()
}

/// The second half comes first on the wire.
fn swapped(id: Uuid) -> [u8; 16] {
    id.as_u128().rotate_left(64).to_be_bytes()
}

fn length(payload: &[u8]) -> [u8; 4] {
    u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes()
}

pub(super) const OUTPUT: u32 = 1;
pub(super) const HANDSHAKE_REQUEST: u32 = 5;
pub(super) const HANDSHAKE_RESPONSE: u32 = 6;
pub(super) const HANDSHAKE_COMPLETE: u32 = 7;
pub(super) const FLAG: u32 = 10;
pub(super) const SYN: u64 = 1;
pub(super) const FIN: u64 = 2;
/// Of the payload's length field, where a payload type precedes it.
const HEADER: u32 = 116;
const KIND_LENGTH: usize = 32;
const PAYLOAD_AT: usize = HEADER as usize + 4;
/// Unix milliseconds: seconds or nanoseconds fall outside.
const YEAR_2020: u64 = 1_577_836_800_000;
const YEAR_2100: u64 = 4_102_444_800_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            kind: Kind::Input,
            sequence: 3,
            flags: 0,
            id: Uuid::from_u128(0x0011_2233_4455_4677_8899_aabb_ccdd_eeff),
            payload_type: OUTPUT,
            payload: b"hello".to_vec(),
        }
    }

    #[test]
    fn a_message_has_every_field_in_its_place() {
        let frame = message().write(YEAR_2020);
        assert_eq!(frame[..4], [0, 0, 0, 116]);
        assert_eq!(&frame[4..36], b"input_stream_data               ");
        assert_eq!(frame[48..56], [0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(frame[64..68], [0x88, 0x99, 0xaa, 0xbb]);
        assert_eq!(frame[72..76], [0x00, 0x11, 0x22, 0x33]);
        assert_eq!(frame[112..120], [0, 0, 0, 1, 0, 0, 0, 5]);
        assert_eq!(&frame[120..], b"hello");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let read = Message::read(&message().write(YEAR_2020)).unwrap();
        assert_eq!((read.sequence, read.id, read.payload), (3, message().id, b"hello".to_vec()));
    }

    #[test]
    fn messages_that_break_a_rule_are_refused() {
        let good = message().write(YEAR_2020);
        for (at, byte, reason) in [
            (3, 112, "header's length"),
            (35, 0, "no type of message"),
            (39, 2, "schema version"),
            (42, 0, "milliseconds"),
            (48, 0x80, "sequence number"),
            (63, 2, "flags"),
            (80, !good[80], "digest"),
            (119, 4, "length is 4, 5 bytes follow"),
        ] {
            let mut bad = good.clone();
            bad[at] = byte;
            let broken = Message::read(&bad).unwrap_err();
            assert!(broken.0.contains(reason), "{at}: {broken:?}");
        }
        assert!(Message::read(&good[..119]).unwrap_err().0.contains("whole header"));
    }

    #[test]
    fn the_services_own_messages_have_the_old_header() {
        let frame = control("channel_closed", b"{}", (YEAR_2020, None));
        assert_eq!(frame[..4], [0, 0, 0, 112]);
        assert_eq!(frame[80..112], [0; 32]);
        assert_eq!(frame[112..], [0, 0, 0, 2, b'{', b'}']);
    }
}
