//! Logging in at the database with the swapped user and credential.

use bytes::{Bytes, BytesMut};
use pgferry_credentials::{Lease, Proof};
use pgferry_pg::message::backend::{Authentication, BackendMessage};
use pgferry_pg::message::frontend::{password_message, sasl_initial_response, sasl_response};
use pgferry_pg::message::{ContainsNul, ErrorFields, MessageError, TransactionStatus};
use pgferry_pg::{CancelKey, SqlState};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::ScramSha256;
use tokio::time::Instant;

use super::scram;
use super::stream::{Backend, Security};
use super::tls::certificate_alert;
use crate::binding;
use crate::conversation::{Conversation, ReadError};

/// Longest message of a login. Most are tiny; notices of login triggers may not be.
const MESSAGE_MAX: usize = 64 * 1024;
/// Most bytes of parameters and notices that are kept for the application.
const GREETING_MAX: usize = 1024 * 1024;

/// A session that the database has opened.
pub(crate) struct LoggedIn {
    pub(crate) backend: Backend,
    /// What it sent behind its first `ReadyForQuery`.
    pub(crate) excess: Bytes,
    /// Its parameters and notices, for the application, as they came.
    pub(crate) greeting: BytesMut,
    /// Its own key; PostgreSQL always sends one, others may not.
    pub(crate) cancel_key: Option<CancelKey>,
    pub(crate) status: TransactionStatus,
    /// When the credential was accepted.
    pub(crate) authenticated_at: Instant,
}

/// Why the database did not let us in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// It said so itself.
    #[error("{}", .fields.message())]
    Rejected {
        /// Its words.
        fields: ErrorFields,
        /// The whole message as it came.
        raw: Bytes,
    },
    /// It refused what the application itself has proved.
    #[error("{}", .fields.message())]
    Denied {
        /// Its words.
        fields: ErrorFields,
        /// The whole message as it came.
        raw: Bytes,
    },
    /// It wants the password itself, and the connection is not safe for that.
    #[error(
        "the server asks for the password in clear text, which is only sent inside verify-full TLS"
    )]
    CleartextRefused,
    /// It asks for a password, which a token is none of, or where a certificate should have done.
    #[error("the server asks for {method} authentication, not for {proof}")]
    AsksForPassword {
        /// What it asks for.
        method: String,
        /// What there is, with its article.
        proof: &'static str,
    },
    /// It refused our certificate when TLS was up, or misses one.
    #[error("the server refused our certificate: {0:?}")]
    OurCertificate(rustls::AlertDescription),
    /// It wants the application's password itself, which would come to us across a network.
    #[error("the server asks for the password in clear text, and the client has no TLS")]
    FrontendExposed,
    /// It wants a method that is not spoken here.
    #[error("the server asks for {0} authentication, which is not supported")]
    Unsupported(String),
    /// Its SCRAM messages do not prove that it knows the password, or make no sense.
    #[error("SCRAM failed: {0}")]
    Scram(std::io::Error),
    /// It demands an absurd amount of hashing.
    #[error("the server demands an unreasonable number of SCRAM iterations")]
    ScramIterations,
    /// It skipped its own proof.
    #[error("the server ended SCRAM without proving that it knows the password")]
    ScramUnfinished,
    /// The credential cannot be sent.
    #[error("the user, database or password holds a zero byte")]
    ZeroByte,
    /// It broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(MessageError),
    /// It sent more than any login needs.
    #[error("the server sent more than {GREETING_MAX} bytes before it was ready")]
    TooMuch,
    /// The path was closed.
    #[error("the connection was closed during the login")]
    Closed,
    /// The path broke.
    #[error("the connection broke during the login: {0}")]
    Io(std::io::Error),
}

impl LoginError {
    /// The database's own code, where it gave one.
    pub(crate) fn sql_state(&self) -> Option<SqlState> {
        match self {
            Self::Rejected { fields, .. } | Self::Denied { fields, .. } => fields.sql_state(),
            _ => None,
        }
    }
}

impl From<ReadError> for LoginError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed => Self::Closed,
            ReadError::Io(error) => error.into(),
            ReadError::Message(error) => Self::Protocol(error),
        }
    }
}

impl From<MessageError> for LoginError {
    fn from(error: MessageError) -> Self {
        Self::Protocol(error)
    }
}

impl From<ContainsNul> for LoginError {
    fn from(_: ContainsNul) -> Self {
        Self::ZeroByte
    }
}

impl From<std::io::Error> for LoginError {
    fn from(error: std::io::Error) -> Self {
        match certificate_alert(&error) {
            Some(alert) => Self::OurCertificate(alert),
            None if crate::conversation::is_disconnect(&error) => Self::Closed,
            None => Self::Io(error),
        }
    }
}

/// Sends `startup` and answers for `lease` until the database is ready.
///
/// Cancel safety: none; dropping it closes the connection.
pub(crate) async fn login(
    backend: Backend,
    security: Security,
    startup: &[u8],
    lease: &Lease,
) -> Result<LoggedIn, LoginError> {
    let mut server = Conversation::new(backend);
    server.send(startup).await?;
    let mut greeting = BytesMut::new();
    authenticate(&mut server, security, lease, &mut greeting).await?;
    let authenticated_at = Instant::now();
    let (cancel_key, status) = wait_until_ready(&mut server, &mut greeting).await?;
    let (backend, excess) = server.into_parts();
    Ok(LoggedIn { backend, excess, greeting, cancel_key, status, authenticated_at })
}

async fn authenticate(
    server: &mut Conversation<Backend>,
    security: Security,
    lease: &Lease,
    greeting: &mut BytesMut,
) -> Result<(), LoginError> {
    loop {
        match next_authentication(server, greeting).await? {
            Authentication::Ok => return Ok(()),
            request if !may_answer(&lease.proof, &request) => {
                let (method, proof) = (request.method().to_owned(), named(&lease.proof));
                return Err(LoginError::AsksForPassword { method, proof });
            }
            Authentication::CleartextPassword if security == Security::VerifiedFull => {
                server.send(&password_message(secret(lease))?).await?;
            }
            Authentication::CleartextPassword => return Err(LoginError::CleartextRefused),
            Authentication::Md5Password { salt } => {
                let hash = md5_hash(lease.user.as_bytes(), secret(lease), salt);
                server.send(&password_message(hash.as_bytes())?).await?;
            }
            Authentication::Sasl { mechanisms } => {
                sasl(server, &mechanisms, secret(lease), greeting).await?;
            }
            other @ (Authentication::SaslContinue(_)
            | Authentication::SaslFinal(_)
            | Authentication::Unsupported { .. }) => {
                return Err(LoginError::Unsupported(other.method().to_owned()));
            }
        }
    }
}

/// A token is no password: it goes out in clear, inside verified TLS, or not at all. A certificate has
/// nothing to say, and where the transport logs in there is nobody to say it to.
fn may_answer(proof: &Proof, request: &Authentication) -> bool {
    match proof {
        Proof::Password(_) | Proof::Application => true,
        Proof::Token(_) => {
            !matches!(request, Authentication::Md5Password { .. } | Authentication::Sasl { .. })
        }
        Proof::Certificate | Proof::DataApi(_) => false,
    }
}

fn named(proof: &Proof) -> &'static str {
    match proof {
        Proof::Password(_) | Proof::Application => "a password",
        Proof::Token(_) => "a token",
        Proof::Certificate => "a certificate",
        Proof::DataApi(_) => "the name of a secret",
    }
}

fn secret(lease: &Lease) -> &[u8] {
    lease.proof.secret().unwrap_or_default().as_bytes()
}

/// SCRAM, bound to the TLS connection where that can be.
pub(crate) async fn sasl(
    server: &mut Conversation<Backend>,
    mechanisms: &[Bytes],
    secret: &[u8],
    greeting: &mut BytesMut,
) -> Result<(), LoginError> {
    let end_point = binding::tls_server_end_point(&server.stream);
    let Some(choice) = scram::Choice::new(mechanisms, end_point) else {
        let offered: Vec<_> = mechanisms.iter().map(|m| String::from_utf8_lossy(m)).collect();
        return Err(LoginError::Unsupported(offered.join(", ")));
    };
    tracing::debug!(mechanism = choice.mechanism, "logging in");
    let exchange = ScramSha256::new(secret, choice.binding);
    server.send(&sasl_initial_response(choice.mechanism, exchange.message())?).await?;
    let Authentication::SaslContinue(first) = next_authentication(server, greeting).await? else {
        return Err(LoginError::ScramUnfinished);
    };
    let mut exchange = scram::prove(exchange, first).await?;
    server.send(&sasl_response(exchange.message())?).await?;
    match next_authentication(server, greeting).await? {
        Authentication::SaslFinal(last) => exchange.finish(&last).map_err(LoginError::Scram),
        _ => Err(LoginError::ScramUnfinished),
    }
}

/// The database's next request, or its acceptance.
pub(crate) async fn next_authentication(
    server: &mut Conversation<Backend>,
    greeting: &mut BytesMut,
) -> Result<Authentication, LoginError> {
    loop {
        match next(server, greeting).await? {
            BackendMessage::Authentication(request) => return Ok(request),
            BackendMessage::ParameterStatus { .. } | BackendMessage::Notice(_) => {}
            BackendMessage::BackendKeyData(_)
            | BackendMessage::ReadyForQuery(_)
            | BackendMessage::Error(_)
            | BackendMessage::Other(_) => {
                return Err(LoginError::Protocol(MessageError::Unexpected { tag: b'R' }));
            }
        }
    }
}

/// Reads what follows the acceptance, up to `ReadyForQuery`.
pub(crate) async fn wait_until_ready(
    server: &mut Conversation<Backend>,
    greeting: &mut BytesMut,
) -> Result<(Option<CancelKey>, TransactionStatus), LoginError> {
    let mut cancel_key = None;
    loop {
        match next(server, greeting).await? {
            BackendMessage::BackendKeyData(key) => cancel_key = Some(key),
            BackendMessage::ReadyForQuery(status) => return Ok((cancel_key, status)),
            BackendMessage::ParameterStatus { .. }
            | BackendMessage::Notice(_)
            | BackendMessage::Error(_) => {}
            BackendMessage::Authentication(_) => {
                return Err(LoginError::Protocol(MessageError::Unexpected { tag: b'R' }));
            }
            BackendMessage::Other(tag) => {
                return Err(LoginError::Protocol(MessageError::Unexpected { tag }));
            }
        }
    }
}

/// The next message; parameters and notices are also kept for the application, an error ends it.
///
/// Cancel safety: nothing is lost.
pub(crate) async fn next(
    server: &mut Conversation<Backend>,
    greeting: &mut BytesMut,
) -> Result<BackendMessage, LoginError> {
    let raw = server.next(MESSAGE_MAX).await?;
    let message = BackendMessage::decode(&raw)?;
    match message {
        BackendMessage::Error(fields) => {
            return Err(LoginError::Rejected { fields, raw: raw.encode() });
        }
        BackendMessage::ParameterStatus { .. } | BackendMessage::Notice(_) => {
            greeting.extend_from_slice(&raw.encode());
        }
        _ => {}
    }
    if greeting.len() > GREETING_MAX {
        return Err(LoginError::TooMuch);
    }
    Ok(message)
}
