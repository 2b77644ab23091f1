//! The server side of SCRAM-SHA-256: the application proves that it knows a password without sending it.
//!
//! Salt and nonce come in as arguments, and so does what binds the proof to a TLS connection, if there
//! is one.
//!
//! Source: RFC 5802, RFC 5929, RFC 7677, and PostgreSQL's `src/backend/libpq/auth-scram.c`, which it follows where
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

/// The mechanism without channel binding.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// The mechanism with channel binding.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The one type of channel binding. Source: RFC 5929, section 4; PostgreSQL knows no other either.
const TLS_SERVER_END_POINT: &str = "tls-server-end-point";

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
    /// A mechanism that was not offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// A message with channel binding for the mechanism without it.
    #[error("client uses SCRAM channel binding with a mechanism that has none")]
    ChannelBinding,
    /// A message without channel binding for the mechanism with it.
    #[error("client selected {MECHANISM_PLUS}, but its message has no channel binding data")]
    NoChannelBinding,
    /// Another type than the certificate's hash.
    #[error("unsupported SCRAM channel-binding type")]
    ChannelBindingType,
    /// The application can bind and believes that we cannot, though we offered it: somebody between
    /// has taken the offer away.
    #[error("SCRAM channel binding negotiation error: the client did not see that it was offered")]
    Downgrade,
    /// The proof is bound to another certificate than ours.
    #[error("SCRAM channel binding check failed")]
    WrongChannel,
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
            Self::TooLong
            | Self::Malformed(_)
            | Self::Mismatch
            | Self::Mechanism
            | Self::ChannelBinding
            | Self::NoChannelBinding
            | Self::ChannelBindingType => SqlState::PROTOCOL_VIOLATION,
            Self::Extension | Self::AuthorizationIdentity => SqlState::FEATURE_NOT_SUPPORTED,
            Self::Downgrade | Self::WrongChannel => SqlState::INVALID_AUTHORIZATION,
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

/// `tls-server-end-point` of the TLS connection that an exchange runs in: the hash of the certificate
/// that was shown to the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndPoint(pub Vec<u8>);

/// An exchange of which nothing was said yet.
#[derive(Debug)]
pub struct Exchange {
    verifier: Arc<Verifier>,
    /// With it, channel binding is offered.
    end_point: Option<EndPoint>,
}

/// An exchange that waits for the proof.
#[derive(Debug)]
pub struct Challenged {
    verifier: Arc<Verifier>,
    /// What the last message has to repeat of the first and of the TLS connection, in base64.
    binding: String,
    bound: bool,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl Exchange {
    /// An exchange about one password; `end_point` is there if it runs inside TLS.
    pub fn new(verifier: Arc<Verifier>, end_point: Option<EndPoint>) -> Self {
        Self { verifier, end_point }
    }

    /// The mechanisms to offer, the preferred one first.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        if self.end_point.is_some() { &[MECHANISM_PLUS, MECHANISM] } else { &[MECHANISM] }
    }

    /// Takes the mechanism that the application chose, and its first message. Returns what waits for the second, and the challenge to
    /// send.
    ///
    /// **Errors**: the application's fault.
    pub fn client_first(
        self,
        mechanism: &[u8],
        message: &[u8],
        server_nonce: &ServerNonce,
    ) -> Result<(Challenged, String), ScramError> {
        let offered = self.mechanisms().iter().find(|offered| offered.as_bytes() == mechanism);
        let bound = *offered.ok_or(ScramError::Mechanism)? == MECHANISM_PLUS;
        let message = text::checked(message)?;
        let (header, bare) = split_gs2_header(message)?;
        let binding = self.binding(header, bound)?;
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
            bound,
            nonce,
            client_first_bare: bare.to_owned(),
            server_first: server_first.clone(),
        };
        Ok((challenged, server_first))
    }

    /// What the last message has to repeat.
    ///
    /// Source: `read_client_first_message` in PostgreSQL's `auth-scram.c`.
    fn binding(&self, header: Gs2Header<'_>, bound: bool) -> Result<String, ScramError> {
        match (header, &self.end_point) {
            (Gs2Header::CanBind, Some(_)) if !bound => Err(ScramError::Downgrade),
            (Gs2Header::CannotBind | Gs2Header::CanBind, _) if bound => {
                Err(ScramError::NoChannelBinding)
            }
            (Gs2Header::CannotBind, _) => Ok(STANDARD.encode("n,,")),
            (Gs2Header::CanBind, _) => Ok(STANDARD.encode("y,,")),
            (Gs2Header::Binds(TLS_SERVER_END_POINT), Some(end_point)) if bound => {
                let header = format!("p={TLS_SERVER_END_POINT},,");
                Ok(STANDARD.encode([header.as_bytes(), &end_point.0].concat()))
            }
            (Gs2Header::Binds(_), _) if bound => Err(ScramError::ChannelBindingType),
            (Gs2Header::Binds(_), _) => Err(ScramError::ChannelBinding),
        }
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
        if nonce != self.nonce {
            return Err(ScramError::Mismatch);
        }
        if binding != self.binding {
            return Err(if self.bound { ScramError::WrongChannel } else { ScramError::Mismatch });
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

/// What the application says about channel binding.
enum Gs2Header<'a> {
    /// `n`: it cannot bind.
    CannotBind,
    /// `y`: it can, and thinks that we cannot.
    CanBind,
    /// `p`: it does, with this type.
    Binds(&'a str),
}

/// Splits off what precedes the message proper.
fn split_gs2_header(message: &str) -> Result<(Gs2Header<'_>, &str), ScramError> {
    let malformed = ScramError::Malformed("gs2 header");
    let (flag, rest) = message.split_once(',').ok_or(malformed)?;
    let header = match (flag, flag.strip_prefix("p=")) {
        ("n", _) => Gs2Header::CannotBind,
        ("y", _) => Gs2Header::CanBind,
        (_, Some(kind)) => Gs2Header::Binds(kind),
        _ => return Err(malformed),
    };
    let (identity, bare) = rest.split_once(',').ok_or(malformed)?;
    if !identity.is_empty() {
        return Err(ScramError::AuthorizationIdentity);
    }
    Ok((header, bare))
}

fn decode_proof(proof: &str) -> Result<[u8; 32], ScramError> {
    let decoded = STANDARD.decode(proof).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or(ScramError::Malformed("proof"))
}

#[cfg(test)]
mod tests;
