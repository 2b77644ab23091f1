//! The server side of SCRAM-SHA-256: the application proves that it knows a password without sending it.
//!
//! Salt and nonce come in as arguments. Channel binding is neither offered nor accepted: the session
//! behind goes over another TLS connection anyway.
//!
//! Source: RFC 5802, RFC 7677, and PostgreSQL's `src/backend/libpq/auth-scram.c`, which it follows where
//! it is laxer than the RFCs: the user name inside is ignored, and a password that SASLprep refuses is
//! taken as it is.

mod text;
mod verifier;

pub use verifier::{Salt, Verifier};

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use self::text::Attributes;
use crate::SqlState;

/// The mechanism's name.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// Longest message taken from an application. Source: `PG_MAX_SASL_MESSAGE_LENGTH` in PostgreSQL 10 to 17.
pub const MESSAGE_MAX: usize = 1024;

/// Random bytes that a [`ServerNonce`] wants. Source: `SCRAM_RAW_NONCE_LEN` in `scram-common.h`.
pub const NONCE_RANDOM: usize = 18;

/// The application did not prove what it should. Always its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// Longer than any honest message.
    #[error("SCRAM message is longer than {MESSAGE_MAX} bytes")]
    TooLong,
    /// Not what the grammar says; the text names the part.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// Channel binding, which was not offered.
    #[error("client requires SCRAM channel binding, which was not offered")]
    ChannelBinding,
    /// An extension that must be understood, and is not.
    #[error("client requires an unsupported SCRAM extension")]
    Extension,
    /// The wish to act as somebody else.
    #[error("client uses authorization identity, which is not supported")]
    AuthorizationIdentity,
    /// The nonce or the binding does not belong to this exchange.
    #[error("SCRAM message does not belong to this exchange")]
    Mismatch,
    /// The proof is wrong.
    #[error("password authentication failed")]
    WrongPassword,
}

impl ScramError {
    /// The code PostgreSQL itself would report.
    pub fn sql_state(&self) -> SqlState {
        match self {
            Self::TooLong | Self::Malformed(_) | Self::Mismatch => SqlState::PROTOCOL_VIOLATION,
            Self::ChannelBinding | Self::Extension | Self::AuthorizationIdentity => {
                SqlState::FEATURE_NOT_SUPPORTED
            }
            Self::WrongPassword => SqlState::INVALID_PASSWORD,
        }
    }
}

/// Our half of the nonce: good for one exchange.
#[derive(Debug)]
pub struct ServerNonce(String);

impl ServerNonce {
    /// From fresh random bytes.
    pub fn from_random(random: &[u8; NONCE_RANDOM]) -> Self {
        Self(STANDARD.encode(random))
    }
}

/// An exchange of which nothing was said yet.
#[derive(Debug)]
pub struct Exchange {
    verifier: Arc<Verifier>,
}

/// An exchange that waits for the proof.
#[derive(Debug)]
pub struct Challenged {
    verifier: Arc<Verifier>,
    /// What the last message has to repeat of the first, in base64.
    binding: &'static str,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl Exchange {
    /// An exchange about one password.
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self { verifier }
    }

    /// Takes the application's first message. Returns what waits for the second, and the challenge to
    /// send.
    ///
    /// **Errors**: the application's fault.
    pub fn client_first(
        self,
        message: &[u8],
        server_nonce: &ServerNonce,
    ) -> Result<(Challenged, String), ScramError> {
        let message = text::checked(message)?;
        let (binding, bare) = split_gs2_header(message)?;
        let mut attributes = Attributes::of(bare);
        if attributes.next_is('m') {
            return Err(ScramError::Extension);
        }
        attributes.take('n').ok_or(ScramError::Malformed("user name"))?;
        let client_nonce = attributes.take('r').ok_or(ScramError::Malformed("nonce"))?;
        if client_nonce.is_empty() || !text::is_printable(client_nonce) {
            return Err(ScramError::Malformed("nonce"));
        }
        let nonce = format!("{client_nonce}{}", server_nonce.0);
        let salt = STANDARD.encode(self.verifier.salt());
        let server_first = format!("r={nonce},s={salt},i={}", self.verifier.iterations());
        let challenged = Challenged {
            verifier: self.verifier,
            binding,
            nonce,
            client_first_bare: bare.to_owned(),
            server_first: server_first.clone(),
        };
        Ok((challenged, server_first))
    }
}

impl Challenged {
    /// Takes the application's proof. Returns ours, to be sent before `AuthenticationOk`.
    ///
    /// **Errors**: the application's fault; [`ScramError::WrongPassword`] if only the proof is wrong.
    pub fn client_final(self, message: &[u8]) -> Result<String, ScramError> {
        let message = text::checked(message)?;
        // The proof comes last, and base64 has no comma.
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(ScramError::Malformed("proof"))?;
        let mut attributes = Attributes::of(without_proof);
        let binding = attributes.take('c').ok_or(ScramError::Malformed("channel binding"))?;
        let nonce = attributes.take('r').ok_or(ScramError::Malformed("nonce"))?;
        if attributes.next_is('m') {
            return Err(ScramError::Extension);
        }
        if binding != self.binding || nonce != self.nonce {
            return Err(ScramError::Mismatch);
        }
        let proof = decode_proof(proof)?;
        let conversation =
            format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        if !self.proves(&conversation, &proof) {
            return Err(ScramError::WrongPassword);
        }
        let signature = verifier::hmac(self.verifier.server_key(), &[conversation.as_bytes()]);
        Ok(format!("v={}", STANDARD.encode(signature)))
    }

    fn proves(&self, conversation: &str, proof: &[u8; 32]) -> bool {
        let signature = verifier::hmac(self.verifier.stored_key(), &[conversation.as_bytes()]);
        let mut client_key = Zeroizing::new([0; 32]);
        for (key, (proof, signature)) in client_key.iter_mut().zip(proof.iter().zip(&signature)) {
            *key = proof ^ signature;
        }
        verifier::hash(&*client_key).ct_eq(self.verifier.stored_key()).into()
    }
}

/// Splits off what precedes the message proper. Returns it in base64, and the rest.
fn split_gs2_header(message: &str) -> Result<(&'static str, &str), ScramError> {
    let malformed = ScramError::Malformed("gs2 header");
    let (flag, rest) = message.split_once(',').ok_or(malformed)?;
    let binding = match flag {
        // "n,,": the application cannot bind.
        "n" => "biws",
        // "y,,": it can, and thinks we cannot, which is so.
        "y" => "eSws",
        _ if flag.starts_with("p=") => return Err(ScramError::ChannelBinding),
        _ => return Err(malformed),
    };
    let (identity, bare) = rest.split_once(',').ok_or(malformed)?;
    if !identity.is_empty() {
        return Err(ScramError::AuthorizationIdentity);
    }
    Ok((binding, bare))
}

fn decode_proof(proof: &str) -> Result<[u8; 32], ScramError> {
    let decoded = STANDARD.decode(proof).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or(ScramError::Malformed("proof"))
}

#[cfg(test)]
mod tests;
