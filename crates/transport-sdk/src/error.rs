//! Why something failed, in words and as a status.

use std::fmt;
use std::io;
use std::time::Duration;

use pgferry_transport_abi::Status;
use serde_json::json;

/// A failure a plugin reports. The constructor names whose fault it is, which decides what the
/// application sees and whether the host tries again.
///
/// Messages are one line, lower case, without a secret and without a dot at the end; the host puts
/// the name of the instance before them.
#[derive(Clone, Debug)]
pub struct Error {
    status: Status,
    message: String,
    hint: Option<String>,
    retry_after: Option<Duration>,
}

impl Error {
    /// The user's configuration is wrong. The instance is disabled.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Status::CONFIG, message)
    }

    /// Our credentials were refused. SQLSTATE 28000.
    pub fn auth(message: impl Into<String>) -> Self {
        Self::new(Status::AUTH, message)
    }

    /// We are known but not allowed; a hint should say what permission is missing. SQLSTATE 28000.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Status::DENIED, message)
    }

    /// Nobody is there. SQLSTATE 08001, tried again within the client's deadline.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Status::UNREACHABLE, message)
    }

    /// No answer in time. SQLSTATE 08001, tried again within the client's deadline.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Status::TIMEOUT, message)
    }

    /// Told to slow down. The host waits for [`Error::with_retry_after`], else backs off.
    pub fn throttled(message: impl Into<String>) -> Self {
        Self::new(Status::THROTTLED, message)
    }

    /// This plugin can't do that. The instance is disabled.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Status::UNSUPPORTED, message)
    }

    /// The peer spoke nonsense. SQLSTATE 08P01, one retry.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(Status::PROTOCOL, message)
    }

    /// Our own fault, or a connection that broke. SQLSTATE 08006.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Status::INTERNAL, message)
    }

    /// Effect: adds what the user can do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(one_line(hint)), ..self }
    }

    /// Effect: adds how long the host should wait before it tries again.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Effect: says before the message what it is about: a host and a port, a file. Status, hint and wait stay.
    #[must_use]
    pub fn about(self, what: impl fmt::Display) -> Self {
        Self { message: one_line(format!("{what}: {}", self.message)), ..self }
    }

    /// The code of the contract.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// How long the host should wait before it tries again.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: one_line(message), hint: None, retry_after: None }
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Status::CANCELLED, "cancelled")
    }

    /// A stream that worked until now and doesn't any more.
    pub(crate) fn broken(cause: &io::Error) -> Self {
        Self::internal(format!("the connection broke: {cause}"))
    }

    /// The `detail_json` that goes with it; empty when there is nothing to add.
    pub(crate) fn detail(&self) -> String {
        let mut detail = serde_json::Map::new();
        if let Some(hint) = &self.hint {
            detail.insert("hint".to_owned(), json!(hint));
        }
        if let Some(wait) = self.retry_after {
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            detail.insert("retry_after_ms".to_owned(), json!(millis));
        }
        if detail.is_empty() {
            String::new()
        } else {
            serde_json::Value::Object(detail).to_string()
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What a failed dial means: who refused, who didn't answer, what broke.
impl From<io::Error> for Error {
    fn from(cause: io::Error) -> Self {
        let status = match cause.kind() {
            io::ErrorKind::TimedOut => Status::TIMEOUT,
            io::ErrorKind::PermissionDenied => Status::DENIED,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData => Status::INTERNAL,
            _ => Status::UNREACHABLE,
        };
        Self::new(status, cause.to_string().to_lowercase())
    }
}

/// The contract's messages are one line without a dot at the end, whatever a library wrote.
fn one_line(text: impl Into<String>) -> String {
    let text: String = text.into();
    let line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    line.join("; ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_one_line_without_a_dot() {
        assert_eq!(
            Error::auth("no such key.\n  try another.\n").message(),
            "no such key.; try another"
        );
    }

    #[test]
    fn the_detail_holds_hint_and_wait_and_is_absent_without_them() {
        assert_eq!(Error::denied("no").detail(), "");
        let error =
            Error::throttled("slow").with_hint("wait").with_retry_after(Duration::from_secs(2));
        assert_eq!(error.detail(), r#"{"hint":"wait","retry_after_ms":2000}"#);
    }

    #[test]
    fn what_a_message_is_about_stands_before_it_and_the_rest_stays() {
        let error = Error::throttled("slow").with_hint("wait").about("db:5432");
        assert_eq!(error.message(), "db:5432: slow");
        assert_eq!((error.status(), error.hint()), (Status::THROTTLED, Some("wait")));
    }

    #[test]
    fn a_refused_dial_is_unreachable_and_a_reset_is_internal() {
        let of = |kind: io::ErrorKind| Error::from(io::Error::from(kind)).status();
        assert_eq!(of(io::ErrorKind::ConnectionRefused), Status::UNREACHABLE);
        assert_eq!(of(io::ErrorKind::TimedOut), Status::TIMEOUT);
        assert_eq!(of(io::ErrorKind::ConnectionReset), Status::INTERNAL);
    }
}
