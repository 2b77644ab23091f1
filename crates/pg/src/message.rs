//! The messages of a login, as thin types: whole messages in memory, decoded with distrust.
//!
//! pgwire encodes what consists of our own text. It does not decode here: its decoders take lengths
//! on trust and panic on a body that ends early, and they replace what is not UTF-8.

pub mod backend;
mod fields;
pub mod frontend;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zeroize::Zeroize as _;

pub use fields::ErrorFields;

use crate::frame::HEADER_LENGTH;

/// Whether the session is in a transaction, as `ReadyForQuery` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// Not in a transaction.
    Idle,
    /// In a transaction.
    InTransaction,
    /// In a transaction that failed and waits for its end.
    Failed,
}

impl TransactionStatus {
    /// Reads the byte of a `ReadyForQuery`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InTransaction),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }
}

/// A message that does not hold what its type promises: the sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A length below four or above the limit of the moment.
    #[error("message {tag:#04x} claims a length of {length} bytes")]
    Length {
        /// The type byte.
        tag: u8,
        /// The length on the wire.
        length: u32,
    },
    /// The body ends too early, goes on too long, or misses a terminator.
    #[error("message {tag:#04x} is malformed")]
    Malformed {
        /// The type byte.
        tag: u8,
    },
    /// Another type than the protocol allows at this point.
    #[error("message {tag:#04x} was not expected")]
    Unexpected {
        /// The type byte.
        tag: u8,
    },
}

/// A zero byte where the protocol ends a text with one. The caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name, value or password holds a zero byte")]
pub struct ContainsNul;

/// One whole message, not yet understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw {
    /// The type byte.
    pub tag: u8,
    /// What follows the length.
    pub body: Bytes,
}

impl Raw {
    /// Takes one message off the front of `buffer`. `None` until all of it is there.
    ///
    /// **Errors**: the sender's fault: a length below four, or a body longer than `body_max`.
    pub fn take(buffer: &mut BytesMut, body_max: usize) -> Result<Option<Self>, MessageError> {
        let Some([tag, length @ ..]) = buffer.first_chunk::<HEADER_LENGTH>() else {
            return Ok(None);
        };
        let (tag, length) = (*tag, u32::from_be_bytes(*length));
        let body_len = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
        let Some(body_len) = body_len.filter(|length| *length <= body_max) else {
            return Err(MessageError::Length { tag, length });
        };
        if buffer.len() < HEADER_LENGTH + body_len {
            return Ok(None);
        }
        buffer.advance(HEADER_LENGTH);
        Ok(Some(Self { tag, body: buffer.split_to(body_len).freeze() }))
    }

    /// The message as it came.
    pub fn encode(&self) -> Bytes {
        typed(self.tag, &self.body)
    }

    /// Overwrites the body, if nobody else has a share of its memory.
    pub fn wipe(self) {
        if let Ok(mut body) = self.body.try_into_mut() {
            body.zeroize();
        }
    }

    fn malformed(&self) -> MessageError {
        MessageError::Malformed { tag: self.tag }
    }
}

impl std::fmt::Debug for Raw {
    // Bodies hold passwords and keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raw {{ tag: {:?}, body: {} bytes }}", char::from(self.tag), self.body.len())
    }
}

pub(crate) fn put_cstring(out: &mut BytesMut, text: &[u8]) -> Result<(), ContainsNul> {
    if text.contains(&0) {
        return Err(ContainsNul);
    }
    out.put_slice(text);
    out.put_u8(0);
    Ok(())
}

/// Tag, length, body.
pub(crate) fn typed(tag: u8, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_LENGTH + body.len());
    out.put_u8(tag);
    out.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
    out.put_slice(body);
    out.freeze()
}

/// Takes a text off the front of `body`, without its terminator.
fn take_cstring(body: &mut Bytes) -> Option<Bytes> {
    let length = body.iter().position(|byte| *byte == 0)?;
    let text = body.split_to(length);
    body.advance(1);
    Some(text)
}

fn take_u32(body: &mut Bytes) -> Option<u32> {
    (body.len() >= 4).then(|| body.get_u32())
}

#[cfg(test)]
mod tests;
