//! The key that lets an application cancel its own query.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::startup::{CANCEL_REQUEST_CODE, ProtocolVersion};

/// Shortest secret of a key: protocol 3.0.
pub const SECRET_MIN: usize = 4;
/// Longest secret of a key. Source: `BackendKeyData` in PostgreSQL 18's protocol documentation.
pub const SECRET_MAX: usize = 256;
/// Random bytes that [`CancelKey::generate`] wants.
pub const SECRET_GENERATED: usize = 32;

/// Process id and secret, as `BackendKeyData` gives them and a `CancelRequest` returns them.
///
/// Comparing takes the same time wherever the secrets differ; the secret is never shown, and is
/// wiped from memory when dropped.
#[derive(Clone)]
pub struct CancelKey {
    process_id: u32,
    secret: Zeroizing<Vec<u8>>,
}

/// A secret of a wrong length: the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cancel key of {length} bytes; {SECRET_MIN} to {SECRET_MAX} are allowed")]
pub struct InvalidCancelKey {
    /// Length of the secret in bytes.
    pub length: usize,
}

impl CancelKey {
    /// A key as it was received.
    ///
    /// **Errors**: a secret outside [`SECRET_MIN`]..=[`SECRET_MAX`] bytes.
    pub fn new(process_id: u32, secret: &[u8]) -> Result<Self, InvalidCancelKey> {
        if !(SECRET_MIN..=SECRET_MAX).contains(&secret.len()) {
            return Err(InvalidCancelKey { length: secret.len() });
        }
        Ok(Self { process_id, secret: Zeroizing::new(secret.to_vec()) })
    }

    /// A key of our own, from random bytes. Applications below protocol 3.2 can hold four bytes only.
    pub fn generate(
        process_id: u32,
        random: &[u8; SECRET_GENERATED],
        version: ProtocolVersion,
    ) -> Self {
        let length = if version.minor >= 2 { SECRET_GENERATED } else { SECRET_MIN };
        let secret = random.iter().copied().take(length).collect();
        Self { process_id, secret: Zeroizing::new(secret) }
    }

    /// The process id: no secret, meant for finding the session.
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    /// The packet that asks a server to cancel. It holds the secret.
    ///
    /// Source: `CancelRequest` in
    /// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
    pub fn encode_cancel_request(&self) -> Bytes {
        let length = 12 + self.secret.len();
        let mut out = BytesMut::with_capacity(length);
        out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        out.put_u32(CANCEL_REQUEST_CODE);
        out.put_u32(self.process_id);
        out.put_slice(&self.secret);
        out.freeze()
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl PartialEq for CancelKey {
    fn eq(&self, other: &Self) -> bool {
        self.process_id == other.process_id && bool::from(self.secret.ct_eq(&other.secret))
    }
}

impl Eq for CancelKey {}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelKey {{ process_id: {}, secret: [secret] }}", self.process_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_never_shown() {
        let key = CancelKey::new(7, b"ABCD").unwrap();
        assert_eq!(format!("{key:?}"), "CancelKey { process_id: 7, secret: [secret] }");
    }

    #[test]
    fn keys_are_equal_if_both_parts_are() {
        let key = CancelKey::new(7, b"ABCD").unwrap();
        assert_eq!(key, key.clone());
        assert_ne!(key, CancelKey::new(8, b"ABCD").unwrap());
        assert_ne!(key, CancelKey::new(7, b"ABCE").unwrap());
        assert_ne!(key, CancelKey::new(7, b"ABCDE").unwrap());
    }

    #[test]
    fn a_secret_has_4_to_256_bytes() {
        assert_eq!(CancelKey::new(7, b"ABC"), Err(InvalidCancelKey { length: 3 }));
        assert_eq!(CancelKey::new(7, &[0; 257]), Err(InvalidCancelKey { length: 257 }));
        assert!(CancelKey::new(7, &[0; 256]).is_ok());
    }

    #[test]
    fn a_generated_secret_is_as_long_as_the_protocol_version_allows() {
        let random = [9; SECRET_GENERATED];
        let old = CancelKey::generate(1, &random, ProtocolVersion::V3_0);
        let new = CancelKey::generate(1, &random, ProtocolVersion::V3_2);
        assert_eq!((old.secret().len(), new.secret().len()), (4, 32));
    }

    #[test]
    fn the_cancel_request_is_as_the_protocol_documents_it() {
        let key = CancelKey::new(0x0102_0304, b"ABCD").unwrap();
        assert_eq!(
            &key.encode_cancel_request()[..],
            b"\0\0\0\x10\x04\xd2\x16\x2e\x01\x02\x03\x04ABCD"
        );
    }
}
