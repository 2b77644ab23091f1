use bytes::{BufMut as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::message_type::MessageType;
use crate::payload_type::PayloadType;

/// One binary frame of the WebSocket.
///
/// All numbers are big-endian, and offsets are from the start of the frame:
///
/// | At | Bytes | |
/// |---|---|---|
/// | 0 | 4 | length of the header, up to the payload's length: 116, or 112 without payload type |
/// | 4 | 32 | type, padded with spaces |
/// | 36 | 4 | schema version |
/// | 40 | 8 | date, milliseconds since 1970 |
/// | 48 | 8 | sequence number |
/// | 56 | 8 | flags |
/// | 64 | 16 | identity, its halves swapped |
/// | 80 | 32 | SHA-256 of the payload |
/// | 112 | 4 | payload type |
/// | header | 4 | length of the payload, which no reader looks at |
/// | header + 4 | | payload, to the end of the frame |
///
/// Source: `message/messageparser.go` of aws/session-manager-plugin; for the header of 112 bytes
/// `datachannel/agent_message.go` of mmmorris1975/ssm-session-client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentMessage {
    /// What it is for.
    pub message_type: MessageType,
    /// 1.
    pub schema_version: u32,
    /// When it was made, in milliseconds since 1970. Never zero.
    pub created_date: u64,
    /// Its number in its direction, of stream messages; otherwise 0.
    pub sequence_number: i64,
    /// [`SYN`](Self::SYN) and [`FIN`](Self::FIN).
    pub flags: u64,
    /// Names it in logs.
    pub id: Uuid,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// The rest of the frame.
    pub payload: Bytes,
}

impl AgentMessage {
    /// The agent sets it on its first message.
    pub const SYN: u64 = 1;
    /// Together with SYN on every acknowledgement: agents on Windows refuse those with SYN alone.
    pub const FIN: u64 = 2;

    /// The frame, with the header of 116 bytes. A name of a type is cut to the 32 bytes that there are for it.
    pub fn encode(&self) -> Bytes {
        let mut frame = BytesMut::with_capacity(PAYLOAD + self.payload.len());
        frame.put_u32(HEADER);
        let name = self.message_type.as_str().bytes();
        frame.extend(name.chain(std::iter::repeat(b' ')).take(TYPE_LENGTH));
        frame.put_u32(self.schema_version);
        frame.put_u64(self.created_date);
        frame.put_i64(self.sequence_number);
        frame.put_u64(self.flags);
        frame.put_u128(self.id.as_u128().rotate_left(64));
        frame.extend_from_slice(&Sha256::digest(&self.payload));
        frame.put_u32(self.payload_type.into());
        frame.put_u32(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
        frame.extend_from_slice(&self.payload);
        frame.freeze()
    }

    /// Reads a frame; the payload stays where it is. Types it does not know are kept as they are.
    ///
    /// # Errors
    /// The frame is not as the peers write it: the fault of agent or service. Nothing is lost by dropping it, since what
    /// was not acknowledged comes again.
    pub fn decode(frame: &Bytes) -> Result<Self, MessageError> {
        if frame.len() > MAX_FRAME {
            return Err(MessageError::TooLong(frame.len()));
        }
        let header = u32::from_be_bytes(array(frame, 0)?);
        if !(OLD_HEADER..=HEADER).contains(&header) {
            return Err(MessageError::HeaderLength(header));
        }
        let start = usize::try_from(header).unwrap_or(MAX_FRAME) + 4;
        if frame.len() < start {
            return Err(MessageError::TooShort(frame.len()));
        }
        let payload_type = match header {
            HEADER => u32::from_be_bytes(array(frame, 112)?).into(),
            _ => PayloadType::None,
        };
        let message = Self {
            message_type: message_type(&array::<TYPE_LENGTH>(frame, 4)?)?,
            schema_version: u32::from_be_bytes(array(frame, 36)?),
            created_date: u64::from_be_bytes(array(frame, 40)?),
            sequence_number: i64::from_be_bytes(array(frame, 48)?),
            flags: u64::from_be_bytes(array(frame, 56)?),
            id: Uuid::from_u128(u128::from_be_bytes(array(frame, 64)?).rotate_left(64)),
            payload_type,
            payload: frame.slice(start..),
        };
        message.validate(&array(frame, 80)?)?;
        Ok(message)
    }

    fn validate(&self, digest: &[u8; 32]) -> Result<(), MessageError> {
        if self.created_date == 0 {
            return Err(MessageError::NoDate);
        }
        let checked = self.message_type.has_digest() && !self.payload.is_empty();
        if checked && Sha256::digest(&self.payload).as_slice() != digest {
            return Err(MessageError::Digest);
        }
        Ok(())
    }
}

/// Largest frame that is read, in bytes. The agent's data have 1,144; its handshake and the service's reasons are longer.
pub const MAX_FRAME: usize = 256 * 1024;

/// Why a frame is none of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// More than [`MAX_FRAME`].
    #[error("a message of {0} bytes, more than {MAX_FRAME}")]
    TooLong(usize),
    /// It ends inside its header.
    #[error("a message of {0} bytes ends inside its header")]
    TooShort(usize),
    /// Neither of the two layouts.
    #[error("a message with a header of {0} bytes, instead of 112 to 116")]
    HeaderLength(u32),
    /// The name of the type is empty, or not text.
    #[error("a message without a type")]
    NoType,
    /// The date is zero.
    #[error("a message without a date")]
    NoDate,
    /// The payload is not the one that was sent.
    #[error("the digest of a message does not fit its payload")]
    Digest,
    /// The payload of an acknowledgement cannot be read. The message it is for will be sent again.
    #[error("an acknowledgement that does not say of what")]
    Acknowledgement,
}

fn array<const N: usize>(frame: &[u8], at: usize) -> Result<[u8; N], MessageError> {
    let bytes = frame.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(MessageError::TooShort(frame.len()))
}

fn message_type(field: &[u8; TYPE_LENGTH]) -> Result<MessageType, MessageError> {
    let text = std::str::from_utf8(field).map_err(|_| MessageError::NoType)?;
    let name = text.trim_matches(['\0', ' ']);
    if name.is_empty() { Err(MessageError::NoType) } else { Ok(name.into()) }
}

const HEADER: u32 = 116;
const OLD_HEADER: u32 = 112;
const TYPE_LENGTH: usize = 32;
/// Where the payload starts behind the longer header.
const PAYLOAD: usize = 120;
