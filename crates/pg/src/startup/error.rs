//! What can be wrong with the opening of a connection.

use super::ProtocolVersion;
use crate::{ErrorReport, SqlState};

/// The application opened its connection in a way that cannot be followed. Always its fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartupError {
    /// Outside the bounds, or not the length of the packet.
    #[error("invalid length of startup packet")]
    InvalidLength,
    /// The parameters do not end where the packet does.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    InvalidLayout,
    /// A cancel request without a whole key.
    #[error("invalid length of cancel request packet")]
    InvalidCancelRequest,
    /// Protocol 2, or one of the future.
    #[error(
        "unsupported frontend protocol {}.{}: pgferry supports 3.0 to 3.{}",
        .0.major, .0.minor, ProtocolVersion::NEWEST.minor
    )]
    UnsupportedVersion(ProtocolVersion),
    /// The same request for encryption a second time.
    #[error("{0} was already answered on this connection")]
    RepeatedRequest(&'static str),
    /// A request for encryption inside TLS.
    #[error("{0} inside TLS")]
    RequestInsideTls(&'static str),
    /// Bytes behind a request for encryption, before its answer.
    #[error("received unencrypted data after the request for {0}")]
    EarlyData(&'static str),
    /// A TLS hello without asking first, where there is no TLS.
    #[error("TLS is not offered here")]
    DirectTlsNotOffered,
    /// A direct TLS handshake that did not agree on PostgreSQL's protocol.
    #[error("direct TLS without the application protocol \"postgresql\"")]
    DirectTlsWithoutAlpn,
    /// No user, or an empty one.
    #[error("no PostgreSQL user name specified in startup packet")]
    MissingUser,
    /// A value PostgreSQL would not understand either.
    #[error("invalid value for parameter \"replication\"")]
    InvalidReplication,
    /// A packet after startup or cancel: the caller went on reading.
    #[error("a second startup packet")]
    AfterTheEnd,
}

impl StartupError {
    /// The code PostgreSQL itself would report.
    pub fn sql_state(&self) -> SqlState {
        match self {
            Self::InvalidLength
            | Self::InvalidLayout
            | Self::InvalidCancelRequest
            | Self::RepeatedRequest(_)
            | Self::RequestInsideTls(_)
            | Self::EarlyData(_)
            | Self::DirectTlsNotOffered
            | Self::DirectTlsWithoutAlpn
            | Self::AfterTheEnd => SqlState::PROTOCOL_VIOLATION,
            Self::UnsupportedVersion(_) => SqlState::FEATURE_NOT_SUPPORTED,
            Self::MissingUser => SqlState::INVALID_AUTHORIZATION,
            Self::InvalidReplication => SqlState::INVALID_PARAMETER_VALUE,
        }
    }

    /// What the application is told.
    pub fn report(&self) -> ErrorReport {
        let report = ErrorReport::fatal(self.sql_state(), self.to_string());
        match self {
            Self::EarlyData(_) => report.with_detail(
                "This could be either a client-software bug or evidence of an attempted \
                 man-in-the-middle attack.",
            ),
            Self::InvalidReplication => {
                report.with_hint("Valid values are: \"false\", 0, \"true\", 1, \"database\".")
            }
            _ => report,
        }
    }
}
