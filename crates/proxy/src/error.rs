//! Everything that can end a connection before its session, as the application is told it.

mod hint;
mod subject;

use std::time::Duration;

use pgferry_credentials::CredentialError;
use pgferry_pg::message::MessageError;
use pgferry_pg::startup::StartupError;
use pgferry_pg::{ErrorReport, SqlState};
use pgferry_telemetry::{CloseReason, Phase};
use pgferry_transport::{OpenError, Status};

pub(crate) use self::subject::Subject;
use crate::backend::login::LoginError;
use crate::backend::tls::{TlsError, TrustError};
use crate::certificate::CertificateError;
use crate::conversation::ReadError;
use crate::frontend::auth::Refused;
use crate::frontend::tls::LocalTlsError;

/// Why a connection did not become a session.
///
/// Its `Display` is for logs; what an application may read is `report` alone.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The application left. Nobody is there to be told.
    #[error("the application closed the connection")]
    ClientGone,
    /// The application's first packets break the protocol.
    #[error(transparent)]
    Opening(#[from] StartupError),
    /// A later message of the application's login does.
    #[error(transparent)]
    ClientMessage(#[from] MessageError),
    /// No TLS with the application. It has TLS's own alert, and could read nothing else.
    #[error(transparent)]
    LocalTls(#[from] LocalTlsError),
    /// The application took too long to say what it wants.
    #[error("no login within {0:?}")]
    LocalLoginTimeout(Duration),
    /// The application may not use this listener.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The target has as many clients as it may.
    #[error("the target already has {0} clients")]
    TooManyConnections(usize),
    /// pgferry is on its way out.
    #[error("pgferry is shutting down")]
    Draining,
    /// No credential.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// Not even one credential to try. A bug.
    #[error("there is no credential to log in with")]
    NoCredential,
    /// The certificate that is the credential cannot be read any more.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A token would go to somebody who has not been verified. The user's fault; nothing was sent.
    #[error("a token is only sent inside verify-full TLS")]
    TokenUnsafe,
    /// No credential in time.
    #[error("no credential within {0:?}")]
    CredentialsTimeout(Duration),
    /// The endpoint that was looked up cannot be verified. The user's fault: a start with a known
    /// endpoint says the same.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// All tries together took too long.
    #[error("no session within {limit:?}")]
    StartupTimeout {
        /// What there was.
        limit: Duration,
        /// What was being done at the end of it.
        phase: Phase,
    },
    /// No path to the database.
    #[error("{}", .0.message)]
    Transport(OpenError),
    /// No TLS with the database.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No TLS in time.
    #[error("no TLS within {0:?}")]
    TlsTimeout(Duration),
    /// The path ended early, and the transport said why.
    #[error("{0}")]
    PathLost(String),
    /// A cancel request did not get through in time. Nobody is told: a cancel has no answer.
    #[error("the cancel request did not get through within {0:?}")]
    CancelTimeout(Duration),
    /// The database did not let us in.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The database did not answer the login in time.
    #[error("the server was not ready within {0:?}")]
    LoginTimeout(Duration),
}

impl From<ReadError> for ConnectionError {
    /// What went wrong while reading from the application.
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed | ReadError::Io(_) => Self::ClientGone,
            ReadError::Message(error) => Self::ClientMessage(error),
        }
    }
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The application, or whoever runs it.
    Frontend,
    /// The database.
    Backend,
    /// The path between.
    Transport,
    /// The configured credential.
    Credentials,
    /// pgferry itself.
    Proxy,
}

impl ConnectionError {
    /// The hop at which it happened, in the words of messages and metrics.
    pub fn hop(&self) -> &'static str {
        match self {
            Self::ClientGone | Self::Opening(_) | Self::ClientMessage(_) => "client",
            Self::LocalTls(_) => "local tls",
            Self::LocalLoginTimeout(_) | Self::Refused(_) => "local login",
            Self::TooManyConnections(_) | Self::Draining => "pgferry",
            Self::Credentials(_)
            | Self::NoCredential
            | Self::Certificate(_)
            | Self::TokenUnsafe
            | Self::CredentialsTimeout(_) => "credentials",
            Self::Transport(_) | Self::PathLost(_) | Self::CancelTimeout(_) => "transport",
            Self::Trust(_) | Self::Tls(_) | Self::TlsTimeout(_) => "tls",
            Self::Login(_) | Self::LoginTimeout(_) => "server login",
            Self::StartupTimeout { phase, .. } => match phase {
                Phase::LocalLogin => "local login",
                Phase::Credentials => "credentials",
                Phase::Transport => "transport",
                Phase::Tls => "tls",
                Phase::Auth | Phase::Parameters => "server login",
            },
        }
    }

    /// A word from a closed set, for the metric's `reason`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::ClientGone => "client_gone",
            Self::Opening(_) | Self::ClientMessage(_) => "client_protocol",
            Self::LocalLoginTimeout(_)
            | Self::CredentialsTimeout(_)
            | Self::TlsTimeout(_)
            | Self::CancelTimeout(_)
            | Self::StartupTimeout { .. }
            | Self::LoginTimeout(_) => "timeout",
            Self::LocalTls(error) => error.label(),
            Self::Refused(_) => "refused",
            Self::TooManyConnections(_) => "too_many_connections",
            Self::Draining => "draining",
            Self::Credentials(_) | Self::NoCredential | Self::Certificate(_) => "credential",
            Self::TokenUnsafe => "token_unsafe",
            Self::Trust(_) => "trust",
            Self::Transport(error) => error.status.label(),
            Self::PathLost(_) => "path_lost",
            Self::Tls(error) => tls_label(error),
            Self::Login(error) => login_label(error),
        }
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::ClientGone
            | Self::Opening(_)
            | Self::ClientMessage(_)
            | Self::LocalTls(_)
            | Self::LocalLoginTimeout(_)
            | Self::Refused(_)
            | Self::Login(LoginError::Denied { .. }) => Blame::Frontend,
            Self::TooManyConnections(_) | Self::Draining => Blame::Proxy,
            Self::Credentials(_)
            | Self::NoCredential
            | Self::Certificate(_)
            | Self::TokenUnsafe
            | Self::CredentialsTimeout(_)
            | Self::StartupTimeout { phase: Phase::Credentials, .. } => Blame::Credentials,
            Self::Transport(_)
            | Self::PathLost(_)
            | Self::CancelTimeout(_)
            | Self::StartupTimeout { phase: Phase::Transport, .. } => Blame::Transport,
            Self::Login(LoginError::Rejected { fields, .. })
                if fields.sql_state().is_some_and(|state| state.class() == "28") =>
            {
                Blame::Credentials
            }
            Self::Trust(_)
            | Self::StartupTimeout { .. }
            | Self::Tls(_)
            | Self::TlsTimeout(_)
            | Self::Login(_)
            | Self::LoginTimeout(_) => Blame::Backend,
        }
    }

    /// The SQLSTATE the application gets.
    pub fn sql_state(&self) -> SqlState {
        match self {
            Self::ClientGone => SqlState::CONNECTION_FAILURE,
            Self::Opening(error) => error.sql_state(),
            Self::ClientMessage(_) | Self::LocalTls(_) => SqlState::PROTOCOL_VIOLATION,
            Self::Refused(Refused::WrongPassword(_) | Refused::WrongUser(_)) => {
                SqlState::INVALID_PASSWORD
            }
            Self::Credentials(error) if error.is_outage() => SqlState::UNABLE_TO_CONNECT,
            Self::LocalLoginTimeout(_)
            | Self::Refused(_)
            | Self::Credentials(_)
            | Self::NoCredential
            | Self::Certificate(_)
            | Self::TokenUnsafe
            | Self::CredentialsTimeout(_) => SqlState::INVALID_AUTHORIZATION,
            Self::TooManyConnections(_) => SqlState::TOO_MANY_CONNECTIONS,
            Self::Draining => SqlState::CANNOT_CONNECT_NOW,
            Self::Transport(error) => transport_sql_state(error.status),
            Self::Login(error) => error.sql_state().unwrap_or(match error {
                LoginError::CleartextRefused
                | LoginError::AsksForPassword { .. }
                | LoginError::OurCertificate(_)
                | LoginError::FrontendExposed
                | LoginError::Unsupported(_)
                | LoginError::Scram(_)
                | LoginError::ScramIterations
                | LoginError::ScramUnfinished
                | LoginError::ZeroByte => SqlState::INVALID_AUTHORIZATION,
                LoginError::Protocol(_) | LoginError::TooMuch => SqlState::PROTOCOL_VIOLATION,
                LoginError::Closed
                | LoginError::Io(_)
                | LoginError::Rejected { .. }
                | LoginError::Denied { .. } => SqlState::UNABLE_TO_CONNECT,
            }),
            Self::PathLost(_)
            | Self::CancelTimeout(_)
            | Self::StartupTimeout { .. }
            | Self::Trust(_)
            | Self::Tls(_)
            | Self::TlsTimeout(_)
            | Self::LoginTimeout(_) => SqlState::UNABLE_TO_CONNECT,
        }
    }

    /// Whether the database has refused the credential itself, so that another one may do.
    pub(crate) fn is_refusal(&self) -> bool {
        let refused = [SqlState::INVALID_AUTHORIZATION, SqlState::INVALID_PASSWORD];
        matches!(self, Self::Login(LoginError::Rejected { fields, .. })
            if fields.sql_state().is_some_and(|state| refused.contains(&state)))
    }

    /// The word for the metric of closed connections.
    pub(crate) fn close_reason(&self) -> CloseReason {
        match self {
            Self::ClientGone => CloseReason::ClientLost,
            Self::Opening(_) | Self::ClientMessage(_) | Self::LocalTls(_) => {
                CloseReason::ProtocolError
            }
            Self::LocalLoginTimeout(_) => CloseReason::TimedOut,
            Self::Refused(_)
            | Self::TooManyConnections(_)
            | Self::Login(LoginError::Denied { .. }) => CloseReason::Refused,
            Self::Draining => CloseReason::Shutdown,
            Self::Credentials(_)
            | Self::NoCredential
            | Self::Certificate(_)
            | Self::TokenUnsafe
            | Self::CredentialsTimeout(_)
            | Self::StartupTimeout { .. }
            | Self::Trust(_)
            | Self::Transport(_)
            | Self::PathLost(_)
            | Self::CancelTimeout(_)
            | Self::Tls(_)
            | Self::TlsTimeout(_)
            | Self::Login(_)
            | Self::LoginTimeout(_) => CloseReason::ConnectFailed,
        }
    }

    /// What the application is told; `None` if nobody is there or it could not read it.
    pub(crate) fn report(&self, about: &Subject) -> Option<ErrorReport> {
        let target = &about.target;
        if matches!(
            self,
            Self::ClientGone | Self::LocalTls(_) | Self::Opening(StartupError::DirectTlsNotOffered)
        ) {
            return None;
        }
        let message = match self {
            // The transport's own words begin with its name.
            Self::Transport(_) | Self::PathLost(_) => format!("target \"{target}\": {self}"),
            _ => format!("target \"{target}\": {}: {self}", self.hop()),
        };
        let report = ErrorReport::fatal(self.sql_state(), message);
        Some(match self.hint(about) {
            Some(hint) => report.with_hint(hint),
            None => report,
        })
    }

    /// The bytes to send: the database's own error where it is about the application's request, with a
    /// hint where it has none and we know one; a report of ours otherwise.
    pub(crate) fn last_words(&self, about: &Subject) -> Vec<u8> {
        match self {
            Self::Login(LoginError::Denied { raw, .. }) => raw.to_vec(),
            Self::Login(LoginError::Rejected { fields, raw }) if self.blame() == Blame::Backend => {
                match self.hint(about) {
                    Some(hint) => fields.with_hint(&hint).to_vec(),
                    None => raw.to_vec(),
                }
            }
            _ => self.report(about).map(|report| report.encode().to_vec()).unwrap_or_default(),
        }
    }
}

fn transport_sql_state(status: Status) -> SqlState {
    match status {
        Status::Auth | Status::Denied => SqlState::INVALID_AUTHORIZATION,
        Status::Protocol => SqlState::PROTOCOL_VIOLATION,
        Status::Unsupported => SqlState::FEATURE_NOT_SUPPORTED,
        Status::Internal | Status::Panic => SqlState::CONNECTION_FAILURE,
        Status::Ok
        | Status::Config
        | Status::Unreachable
        | Status::Timeout
        | Status::Throttled
        | Status::Cancelled => SqlState::UNABLE_TO_CONNECT,
    }
}

fn tls_label(error: &TlsError) -> &'static str {
    match error {
        TlsError::Refused => "tls_refused",
        TlsError::NotReady => "not_ready",
        TlsError::NotPostgres(_) => "not_postgres",
        TlsError::WrongName { .. } => "tls_wrong_name",
        TlsError::UnknownIssuer => "tls_unknown_issuer",
        TlsError::Expired => "tls_expired",
        TlsError::Handshake(_) => "tls_handshake",
        TlsError::NoAlpn => "tls_no_alpn",
        TlsError::OurCertificate(_) => "certificate_refused",
        TlsError::Io(_) | TlsError::Closed => "connection_lost",
    }
}

fn login_label(error: &LoginError) -> &'static str {
    match error {
        LoginError::Rejected { .. } => "rejected",
        LoginError::Denied { .. } => "denied",
        LoginError::CleartextRefused | LoginError::FrontendExposed => "cleartext_refused",
        LoginError::Unsupported(_) | LoginError::AsksForPassword { .. } => "unsupported",
        LoginError::OurCertificate(_) => "certificate_refused",
        LoginError::Scram(_) | LoginError::ScramIterations | LoginError::ScramUnfinished => "scram",
        LoginError::ZeroByte => "credential",
        LoginError::Protocol(_) | LoginError::TooMuch => "server_protocol",
        LoginError::Closed | LoginError::Io(_) => "connection_lost",
    }
}

#[cfg(test)]
mod tests;
