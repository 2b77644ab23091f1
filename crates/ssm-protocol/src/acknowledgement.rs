use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::message_type::MessageType;

/// The payload of an `acknowledge` message: receipt of this one message, and of none before it.
///
/// Source: `message/clientmessage.go` of aws/session-manager-plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Acknowledgement {
    /// Type of the message that arrived.
    #[serde(default)]
    pub acknowledged_message_type: String,
    /// Its identity. No peer matches by it, so anything is taken.
    #[serde(default)]
    pub acknowledged_message_id: String,
    /// Its number in its direction: what is matched.
    pub acknowledged_message_sequence_number: i64,
    /// Always true, on both sides.
    #[serde(default)]
    pub is_sequential_message: bool,
}

impl Acknowledgement {
    /// Receipt of the stream message that is described.
    pub fn new(message_type: &MessageType, id: Uuid, sequence: i64) -> Self {
        Self {
            acknowledged_message_type: message_type.as_str().to_owned(),
            acknowledged_message_id: id.to_string(),
            acknowledged_message_sequence_number: sequence,
            is_sequential_message: true,
        }
    }

    /// Its payload.
    pub fn encode(&self) -> Bytes {
        // Strings and numbers always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// It is no JSON of this shape: the peer's fault.
    pub fn decode(payload: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_looks_as_peers_expect_it() {
        let id = Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
        let acknowledgement = Acknowledgement::new(&MessageType::OutputStreamData, id, 7);
        let expected = r#"{"AcknowledgedMessageType":"output_stream_data","AcknowledgedMessageId":"00010203-0405-0607-0809-0a0b0c0d0e0f","AcknowledgedMessageSequenceNumber":7,"IsSequentialMessage":true}"#;
        assert_eq!(acknowledgement.encode(), expected);
        assert_eq!(Acknowledgement::decode(expected.as_bytes()).unwrap(), acknowledgement);
    }

    #[test]
    fn the_number_alone_is_needed() {
        let sparse = br#"{"AcknowledgedMessageSequenceNumber":7,"New":{}}"#;
        let number = Acknowledgement::decode(sparse).unwrap().acknowledged_message_sequence_number;
        assert_eq!(number, 7);
        assert!(Acknowledgement::decode(b"{}").is_err());
    }
}
