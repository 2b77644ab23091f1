//! What an application says during a login.

use bytes::Bytes;
use pgwire::messages::startup as wire;
use zeroize::Zeroizing;

use super::{ContainsNul, MessageError, Raw, backend::encode, take_cstring, take_u32};
use crate::startup::SSL_REQUEST_CODE;

/// `SSLRequest`, untyped.
pub const SSL_REQUEST: [u8; 8] = {
    let [a, b, c, d] = SSL_REQUEST_CODE.to_be_bytes();
    [0, 0, 0, 8, a, b, c, d]
};

/// `Terminate`.
pub const TERMINATE: [u8; 5] = *b"X\0\0\0\x04";

/// Tag of all answers to an authentication request; the request says which one it is.
const PASSWORD_FAMILY: u8 = b'p';

/// `PasswordMessage`: the password itself or its MD5 hash. Wiped from memory when dropped.
///
/// **Errors**: the caller's fault: a zero byte in the password.
pub fn password_message(password: &[u8]) -> Result<Zeroizing<Vec<u8>>, ContainsNul> {
    if password.contains(&0) {
        return Err(ContainsNul);
    }
    // Reserved at once: growing would leave a copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(6 + password.len()));
    out.push(PASSWORD_FAMILY);
    out.extend(u32::try_from(password.len() + 5).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(password);
    out.push(0);
    Ok(out)
}

/// `SASLInitialResponse`: the mechanism chosen and its first message.
pub fn sasl_initial_response(mechanism: &str, data: &[u8]) -> Result<Bytes, MessageError> {
    let data = Bytes::copy_from_slice(data);
    let message = wire::SASLInitialResponse::new(mechanism.to_owned(), Some(data));
    encode(PASSWORD_FAMILY, &message)
}

/// `SASLResponse`: the next message of the mechanism.
pub fn sasl_response(data: &[u8]) -> Result<Bytes, MessageError> {
    encode(PASSWORD_FAMILY, &wire::SASLResponse::new(Bytes::copy_from_slice(data)))
}

/// Reads the answer to a request for a password.
///
/// **Errors**: the application's fault: another message, no terminator, or bytes behind it.
pub fn decode_password(raw: &Raw) -> Result<Zeroizing<Vec<u8>>, MessageError> {
    let mut body = password_family(raw)?;
    match take_cstring(&mut body) {
        Some(password) if body.is_empty() => Ok(Zeroizing::new(password.to_vec())),
        _ => Err(raw.malformed()),
    }
}

/// The answer to a request for SASL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslInitialResponse {
    /// The mechanism chosen.
    pub mechanism: Bytes,
    /// Its first message; some mechanisms have none.
    pub data: Option<Bytes>,
}

impl SaslInitialResponse {
    /// Reads the answer to a request for SASL.
    ///
    /// **Errors**: the application's fault: another message, or lengths that do not add up.
    pub fn decode(raw: &Raw) -> Result<Self, MessageError> {
        let mut body = password_family(raw)?;
        let head = take_cstring(&mut body).zip(take_u32(&mut body));
        let (mechanism, length) = head.ok_or_else(|| raw.malformed())?;
        let data = match length {
            // -1 on the wire.
            u32::MAX if body.is_empty() => None,
            length if usize::try_from(length) == Ok(body.len()) => Some(body),
            _ => return Err(raw.malformed()),
        };
        Ok(Self { mechanism, data })
    }
}

/// Reads the next message of a SASL mechanism.
///
/// **Errors**: the application's fault: another message.
pub fn decode_sasl_response(raw: &Raw) -> Result<Bytes, MessageError> {
    password_family(raw)
}

fn password_family(raw: &Raw) -> Result<Bytes, MessageError> {
    if raw.tag == PASSWORD_FAMILY {
        Ok(raw.body.clone())
    } else {
        Err(MessageError::Unexpected { tag: raw.tag })
    }
}
