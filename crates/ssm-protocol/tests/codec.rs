//! Frames of the data channel: bytes that other implementations write, and bytes that nobody should.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use bytes::{BufMut as _, Bytes, BytesMut};
use pgferry_ssm_protocol::{AgentMessage, MAX_FRAME, MessageError, MessageType, PayloadType};
use proptest::prelude::*;
use uuid::Uuid;

/// Put together by a few lines of another language from the table of fields, with its own SHA-256.
const INPUT: &str = "00000074\
    696e7075745f73747265616d5f64617461202020202020202020202020202020\
    000000010000018bcfe5680000000000000000030000000000000000\
    08090a0b0c0d0e0f0001020304050607\
    30656bde983020b4a04d4fb8027463ad8cd15d89d4b953f961654b1d6579b9b9\
    00000001000000080100000003000000";

fn unhex(text: &str) -> Bytes {
    let digits: Vec<char> = text.chars().filter(|digit| !digit.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn input() -> AgentMessage {
    AgentMessage {
        message_type: MessageType::InputStreamData,
        schema_version: 1,
        created_date: 1_700_000_000_000,
        sequence_number: 3,
        flags: 0,
        id: "00010203-0405-0607-0809-0a0b0c0d0e0f".parse().unwrap(),
        payload_type: PayloadType::Output,
        payload: Bytes::from_static(&[1, 0, 0, 0, 3, 0, 0, 0]),
    }
}

/// As the service writes its own messages: 112 bytes of header, no payload type, no digest.
fn from_service(name: &str, header: u32, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u32(header);
    frame.put_slice(format!("{name:\0<32}").as_bytes());
    frame.put_u32(1);
    frame.put_u64(1_700_000_000_000);
    frame.put_bytes(0, 8 + 8 + 16 + 32);
    frame.put_bytes(0xee, usize::try_from(header).unwrap() - 112);
    frame.put_u32(u32::try_from(payload.len()).unwrap());
    frame.put_slice(payload);
    frame.freeze()
}

#[test]
fn a_message_has_the_bytes_that_other_implementations_write() {
    assert_eq!(input().encode(), unhex(INPUT));
    assert_eq!(AgentMessage::decode(&unhex(INPUT)).unwrap(), input());
}

#[test]
fn the_services_shorter_header_is_read_too() {
    let reason = br#"{"Output":"x"}"#;
    for header in 112..116 {
        let closed = AgentMessage::decode(&from_service("channel_closed", header, reason)).unwrap();
        assert_eq!(closed.message_type, MessageType::ChannelClosed);
        assert_eq!(closed.payload_type, PayloadType::None);
        assert_eq!(&closed.payload[..], reason);
    }
    let pause = from_service("pause_publication", 112, b"");
    assert_eq!(AgentMessage::decode(&pause).unwrap().message_type, MessageType::PausePublication);
}

#[test]
fn the_length_of_the_payload_is_where_the_frame_ends() {
    let mut frame = BytesMut::from(&input().encode()[..]);
    frame[116..120].copy_from_slice(&[0xff; 4]);
    assert_eq!(AgentMessage::decode(&frame.freeze()).unwrap(), input());
}

#[test]
fn an_unknown_type_of_message_or_payload_is_kept() {
    let strange = AgentMessage {
        message_type: MessageType::Other("news".to_owned()),
        payload_type: PayloadType::Other(261),
        ..input()
    };
    assert_eq!(AgentMessage::decode(&strange.encode()).unwrap(), strange);
}

#[test]
fn every_kind_of_broken_message_is_told_apart() {
    let good = input().encode();
    let changed = |at: std::ops::Range<usize>, with: u8| {
        let mut frame = BytesMut::from(&good[..]);
        frame[at].fill(with);
        AgentMessage::decode(&frame.freeze()).unwrap_err()
    };
    assert_eq!(changed(0..4, 0), MessageError::HeaderLength(0));
    assert_eq!(changed(3..4, 117), MessageError::HeaderLength(117));
    assert_eq!(changed(4..36, b' '), MessageError::NoType);
    assert_eq!(changed(4..36, 0xff), MessageError::NoType);
    assert_eq!(changed(40..48, 0), MessageError::NoDate);
    assert_eq!(changed(120..121, 2), MessageError::Digest);
    for length in 0..120 {
        let cut = good.slice(..length);
        assert_eq!(AgentMessage::decode(&cut), Err(MessageError::TooShort(length)));
    }
    let huge = Bytes::from(vec![0; MAX_FRAME + 1]);
    assert_eq!(AgentMessage::decode(&huge), Err(MessageError::TooLong(MAX_FRAME + 1)));
}

proptest! {
    #[test]
    fn a_message_survives_the_wire(
        name in "[a-z_]{1,32}",
        numbers in any::<(u32, u64, i64, u64, u128, u32)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        let (schema_version, date, sequence_number, flags, id, payload_type) = numbers;
        let message = AgentMessage {
            message_type: name.as_str().into(),
            schema_version,
            created_date: date.max(1),
            sequence_number,
            flags,
            id: Uuid::from_u128(id),
            payload_type: payload_type.into(),
            payload: payload.into(),
        };
        prop_assert_eq!(AgentMessage::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn no_frame_makes_it_panic(
        mut frame in proptest::collection::vec(any::<u8>(), 0..200),
        header in 105_u32..120,
    ) {
        drop(AgentMessage::decode(&frame.clone().into()));
        frame.splice(0..frame.len().min(4), header.to_be_bytes());
        drop(AgentMessage::decode(&frame.into()));
    }

    #[test]
    fn a_changed_byte_is_noticed_or_is_no_data(at in 120_usize..128, with in any::<u8>()) {
        let mut frame = BytesMut::from(&input().encode()[..]);
        let same = frame[at] == with;
        frame[at] = with;
        prop_assert_eq!(AgentMessage::decode(&frame.freeze()).is_ok(), same);
    }
}
