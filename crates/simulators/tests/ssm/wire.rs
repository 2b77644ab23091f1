//! Frames of the data channel, from the tables of the protocol.

use pgferry_simulators::Clock;
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// A frame that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) kind: String,
    pub(crate) sequence: i64,
    pub(crate) id: [u8; 16],
    pub(crate) payload_type: u32,
    pub(crate) payload: Vec<u8>,
}

/// A numbered message to send.
pub(crate) struct SentMessage<'a> {
    pub(crate) sequence: i64,
    pub(crate) payload_type: u32,
    pub(crate) payload: &'a [u8],
}

pub(crate) fn read(frame: &[u8]) -> Received {
    let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
    let header = usize::try_from(number(0)).unwrap();
    let kind = String::from_utf8(frame[4..36].to_vec()).unwrap().trim_end().to_owned();
    let payload = frame[header + 4..].to_vec();
    let sequenced = kind == "output_stream_data";
    assert_eq!(header, if sequenced || kind == "acknowledge" { 116 } else { 112 });
    if kind != "start_publication" && kind != "pause_publication" {
        assert_eq!(frame[80..112], *Sha256::digest(&payload));
    }
    let mut id = [0; 16];
    id[..8].copy_from_slice(&frame[72..80]);
    id[8..].copy_from_slice(&frame[64..72]);
    Received {
        sequence: i64::from_be_bytes(frame[48..56].try_into().unwrap()),
        payload_type: if header == 116 { number(112) } else { 0 },
        kind,
        id,
        payload,
    }
}

pub(crate) fn write(message: &SentMessage<'_>) -> Vec<u8> {
    let sequence = message.sequence;
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    whole("input_stream_data", (sequence, 0), (id, message.payload_type), message.payload)
}

pub(crate) fn acknowledgement(of: &Received) -> Vec<u8> {
    let receipt = json!({
        "AcknowledgedMessageType": of.kind,
        "AcknowledgedMessageId": uuid::Uuid::from_bytes(of.id).to_string(),
        "AcknowledgedMessageSequenceNumber": of.sequence,
        "IsSequentialMessage": true,
    });
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    whole("acknowledge", (0, 3), (id, 0), receipt.to_string().as_bytes())
}

fn whole(
    kind: &str,
    (sequence, flags): (i64, u64),
    (id, payload_type): (uuid::Uuid, u32),
    payload: &[u8],
) -> Vec<u8> {
    let now = Clock::default().now() * 1000;
    let (high, low) = id.as_u64_pair();
    let mut frame = 116_u32.to_be_bytes().to_vec();
    frame.extend(format!("{kind:32}").bytes());
    frame.extend(1_u32.to_be_bytes());
    frame.extend(now.to_be_bytes());
    frame.extend(sequence.to_be_bytes());
    frame.extend(flags.to_be_bytes());
    frame.extend(low.to_be_bytes());
    frame.extend(high.to_be_bytes());
    frame.extend(Sha256::digest(payload));
    frame.extend(payload_type.to_be_bytes());
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame
}
