//! An error of our own, told the way PostgreSQL tells its errors.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{SqlState, message::typed};

/// Longest text of one field in bytes; what is longer is cut.
const FIELD_MAX: usize = 4096;

/// How bad an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The statement failed, the session goes on.
    Error,
    /// The session ends.
    Fatal,
    /// All sessions of the server end. Never sent by us.
    Panic,
}

impl Severity {
    /// The word on the wire, never translated in the `V` field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
        }
    }

    /// Reads a `V` field (or an untranslated `S` field).
    pub fn parse(word: &[u8]) -> Option<Self> {
        [Self::Error, Self::Fatal, Self::Panic]
            .into_iter()
            .find(|severity| severity.as_str().as_bytes() == word)
    }
}

/// What the application is told about an error that PostgreSQL itself did not report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReport {
    /// Whether the session ends.
    pub severity: Severity,
    /// What kind of error.
    pub sql_state: SqlState,
    /// What happened, naming target and hop.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ErrorReport {
    /// An error that ends the session.
    pub fn fatal(sql_state: SqlState, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Fatal,
            sql_state,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// An error the session survives.
    pub fn error(sql_state: SqlState, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, ..Self::fatal(sql_state, message) }
    }

    /// Adds the detail.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Adds the hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The whole `ErrorResponse` message. Zero bytes in texts are left out, for they would end the
    /// field; texts beyond 4096 bytes are cut.
    ///
    /// Source: <https://www.postgresql.org/docs/current/protocol-error-fields.html>
    pub fn encode(&self) -> Bytes {
        let severity = self.severity.as_str();
        encode(
            b'E',
            [
                (b'S', Some(severity)),
                (b'V', Some(severity)),
                (b'C', Some(self.sql_state.as_str())),
                (b'M', Some(self.message.as_str())),
                (b'D', self.detail.as_deref()),
                (b'H', self.hint.as_deref()),
            ],
        )
    }
}

/// Something the application may like to know, and need not act upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about, naming target and hop.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
}

impl Notice {
    /// The whole `NoticeResponse` message. Its code says "successful completion", as that of
    /// PostgreSQL's own notices.
    ///
    /// Source: <https://www.postgresql.org/docs/current/protocol-error-fields.html>
    pub fn encode(&self) -> Bytes {
        encode(
            b'N',
            [
                (b'S', Some("NOTICE")),
                (b'V', Some("NOTICE")),
                (b'C', Some("00000")),
                (b'M', Some(self.message.as_str())),
                (b'D', self.detail.as_deref()),
            ],
        )
    }
}

/// A message of fields; those without a text are left out.
fn encode<const N: usize>(tag: u8, fields: [(u8, Option<&str>); N]) -> Bytes {
    let mut body = BytesMut::new();
    for (code, text) in fields {
        if let Some(text) = text {
            body.put_u8(code);
            body.put_slice(clean(text).as_bytes());
            body.put_u8(0);
        }
    }
    body.put_u8(0);
    typed(tag, &body)
}

fn clean(text: &str) -> String {
    let end = (0..=FIELD_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_encoded_field_by_field() {
        let report = ErrorReport::fatal(SqlState::UNABLE_TO_CONNECT, "[dev] ssm: agent offline")
            .with_hint("start it");
        assert_eq!(
            &report.encode()[..],
            b"E\0\0\0\x3eSFATAL\0VFATAL\0C08001\0M[dev] ssm: agent offline\0Hstart it\0\0"
                .as_slice()
        );
    }

    #[test]
    fn a_notice_is_no_error() {
        let notice = Notice { message: "wait".to_owned(), detail: Some("soon".to_owned()) };
        assert_eq!(
            &notice.encode()[..],
            b"N\0\0\0\x28SNOTICE\0VNOTICE\0C00000\0Mwait\0Dsoon\0\0".as_slice()
        );
    }

    #[test]
    fn a_zero_byte_cannot_end_a_field_early() {
        let report = ErrorReport::error(SqlState::INTERNAL_ERROR, "a\0Cevil\0b");
        let encoded = report.encode();
        assert!(encoded.ends_with(b"MaCevilb\0\0"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let report =
            ErrorReport::error(SqlState::INTERNAL_ERROR, "x".to_owned() + &"é".repeat(4096));
        let encoded = report.encode();
        assert!(encoded.len() < FIELD_MAX + 64);
        assert!(str::from_utf8(&encoded[5..]).is_ok());
    }
}
