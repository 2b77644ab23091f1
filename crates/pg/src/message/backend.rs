//! What a server says during a login.

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages as wire;

use super::{ErrorFields, MessageError, Raw, TransactionStatus, take_cstring, take_u32};
use crate::CancelKey;

/// `AuthenticationOk`.
pub const AUTHENTICATION_OK: [u8; 9] = *b"R\0\0\0\x08\0\0\0\0";

/// `AuthenticationCleartextPassword`.
pub const AUTHENTICATION_CLEARTEXT_PASSWORD: [u8; 9] = *b"R\0\0\0\x08\0\0\0\x03";

/// Most SASL mechanisms a server may name.
const MECHANISMS_MAX: usize = 32;

/// A message of a server, as far as a login cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendMessage {
    /// A request for proof, or that it was accepted.
    Authentication(Authentication),
    /// A setting of the session.
    ParameterStatus {
        /// The setting.
        name: Bytes,
        /// What it is now.
        value: Bytes,
    },
    /// The key to cancel with.
    BackendKeyData(CancelKey),
    /// Login done.
    ReadyForQuery(TransactionStatus),
    /// Login failed.
    Error(ErrorFields),
    /// Something worth knowing.
    Notice(ErrorFields),
    /// Any other message, by its tag.
    Other(u8),
}

impl BackendMessage {
    /// Understands a message.
    ///
    /// **Errors**: the server's fault: the body does not hold what its type promises.
    ///
    /// Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>
    pub fn decode(raw: &Raw) -> Result<Self, MessageError> {
        let body = raw.body.clone();
        let decoded = match raw.tag {
            b'R' => Authentication::decode(body).map(Self::Authentication),
            b'S' => parameter_status_body(body),
            b'K' => backend_key_data_body(body),
            b'Z' => match body.as_ref() {
                [byte] => TransactionStatus::from_byte(*byte).map(Self::ReadyForQuery),
                _ => None,
            },
            b'E' => Some(Self::Error(ErrorFields::new(body))),
            b'N' => Some(Self::Notice(ErrorFields::new(body))),
            tag => Some(Self::Other(tag)),
        };
        decoded.ok_or_else(|| raw.malformed())
    }
}

/// What a server wants as proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing more.
    Ok,
    /// The password itself.
    CleartextPassword,
    /// The password's MD5 hash.
    Md5Password {
        /// Makes the hash good for one login.
        salt: [u8; 4],
    },
    /// SASL, by one of these mechanisms.
    Sasl {
        /// In the server's order of preference.
        mechanisms: Vec<Bytes>,
    },
    /// The next step of SASL.
    SaslContinue(Bytes),
    /// The last step of SASL.
    SaslFinal(Bytes),
    /// A method that is not spoken here.
    Unsupported {
        /// The number on the wire; see [`Authentication::method`].
        code: u32,
    },
}

impl Authentication {
    fn decode(mut body: Bytes) -> Option<Self> {
        let code = take_u32(&mut body)?;
        let empty = body.is_empty();
        match code {
            0 => empty.then_some(Self::Ok),
            3 => empty.then_some(Self::CleartextPassword),
            5 => body.as_ref().try_into().ok().map(|salt| Self::Md5Password { salt }),
            10 => decode_mechanisms(body),
            11 => Some(Self::SaslContinue(body)),
            12 => Some(Self::SaslFinal(body)),
            code => Some(Self::Unsupported { code }),
        }
    }

    /// The method by a name to show.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Ok => "none",
            Self::CleartextPassword => "password",
            Self::Md5Password { .. } => "md5",
            Self::Sasl { .. } | Self::SaslContinue(_) | Self::SaslFinal(_) => "SASL",
            Self::Unsupported { code: 2 } => "Kerberos V5",
            Self::Unsupported { code: 6 } => "SCM credentials",
            Self::Unsupported { code: 7 | 8 } => "GSSAPI",
            Self::Unsupported { code: 9 } => "SSPI",
            Self::Unsupported { .. } => "unknown",
        }
    }
}

/// `AuthenticationMD5Password`.
pub fn authentication_md5_password(salt: [u8; 4]) -> [u8; 13] {
    let [a, b, c, d] = salt;
    [b'R', 0, 0, 0, 12, 0, 0, 0, 5, a, b, c, d]
}

/// `AuthenticationSASL`, naming the mechanisms offered.
pub fn authentication_sasl(mechanisms: &[&str]) -> Result<Bytes, MessageError> {
    let mechanisms = mechanisms.iter().map(|name| (*name).to_owned()).collect();
    encode(b'R', &wire::startup::Authentication::SASL(mechanisms))
}

/// `AuthenticationSASLContinue`.
pub fn authentication_sasl_continue(data: &[u8]) -> Result<Bytes, MessageError> {
    encode(b'R', &wire::startup::Authentication::SASLContinue(Bytes::copy_from_slice(data)))
}

/// `AuthenticationSASLFinal`.
pub fn authentication_sasl_final(data: &[u8]) -> Result<Bytes, MessageError> {
    encode(b'R', &wire::startup::Authentication::SASLFinal(Bytes::copy_from_slice(data)))
}

/// `ParameterStatus` of our own. To pass on a server's, use [`Raw::encode`].
pub fn parameter_status(name: &str, value: &str) -> Result<Bytes, MessageError> {
    if name.contains('\0') || value.contains('\0') {
        return Err(MessageError::Malformed { tag: b'S' });
    }
    encode(b'S', &wire::startup::ParameterStatus::new(name.to_owned(), value.to_owned()))
}

/// `BackendKeyData`.
pub fn backend_key_data(key: &CancelKey) -> Result<Bytes, MessageError> {
    let secret = wire::startup::SecretKey::Bytes(Bytes::copy_from_slice(key.secret()));
    // The wire knows bits, not signs.
    let process_id = key.process_id().cast_signed();
    encode(b'K', &wire::startup::BackendKeyData::new(process_id, secret))
}

/// `ReadyForQuery`.
pub fn ready_for_query(status: TransactionStatus) -> [u8; 6] {
    let byte = match status {
        TransactionStatus::Idle => b'I',
        TransactionStatus::InTransaction => b'T',
        TransactionStatus::Failed => b'E',
    };
    [b'Z', 0, 0, 0, 5, byte]
}

pub(super) fn encode(tag: u8, message: &impl wire::Message) -> Result<Bytes, MessageError> {
    let mut out = BytesMut::new();
    let length = u32::try_from(message.message_length()).unwrap_or(u32::MAX);
    message.encode(&mut out).map_err(|_| MessageError::Length { tag, length })?;
    Ok(out.freeze())
}

fn decode_mechanisms(mut body: Bytes) -> Option<Authentication> {
    let mut mechanisms = Vec::new();
    loop {
        let name = take_cstring(&mut body)?;
        if name.is_empty() {
            break;
        }
        if mechanisms.len() == MECHANISMS_MAX {
            return None;
        }
        mechanisms.push(name);
    }
    body.is_empty().then_some(Authentication::Sasl { mechanisms })
}

fn parameter_status_body(mut body: Bytes) -> Option<BackendMessage> {
    let name = take_cstring(&mut body)?;
    let value = take_cstring(&mut body)?;
    body.is_empty().then_some(BackendMessage::ParameterStatus { name, value })
}

fn backend_key_data_body(mut body: Bytes) -> Option<BackendMessage> {
    let process_id = take_u32(&mut body)?;
    CancelKey::new(process_id, body.chunk()).ok().map(BackendMessage::BackendKeyData)
}
