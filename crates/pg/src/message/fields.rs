//! The fields of an `ErrorResponse` or `NoticeResponse`.

use bytes::Bytes;

use super::typed;
use crate::{Severity, SqlState};

/// What an error or notice says. Reading tolerates everything: an error about an error helps nobody.
///
/// Source: <https://www.postgresql.org/docs/current/protocol-error-fields.html>
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorFields<B = Bytes>(B);

impl<B: AsRef<[u8]>> ErrorFields<B> {
    /// Looks at a body, or the beginning of one.
    pub fn new(body: B) -> Self {
        Self(body)
    }

    /// A field by its code. `None` if it is missing or cut short.
    pub fn field(&self, code: u8) -> Option<&[u8]> {
        let mut rest = self.0.as_ref();
        while let [this, text @ ..] = rest {
            if *this == 0 {
                return None;
            }
            let end = text.iter().position(|byte| *byte == 0)?;
            if *this == code {
                return text.get(..end);
            }
            rest = text.get(end + 1..)?;
        }
        None
    }

    /// The severity, from the field that is never translated if there is one (PostgreSQL 9.6).
    pub fn severity(&self) -> Option<Severity> {
        Severity::parse(self.field(b'V').or_else(|| self.field(b'S'))?)
    }

    /// The code.
    pub fn sql_state(&self) -> Option<SqlState> {
        SqlState::parse(self.field(b'C')?)
    }

    /// The same `ErrorResponse` with a hint added, unless it has one.
    pub fn with_hint(&self, hint: &str) -> Bytes {
        let body = self.0.as_ref();
        if self.field(b'H').is_some() {
            return typed(b'E', body);
        }
        let fields = body.strip_suffix(b"\0").unwrap_or(body);
        let hint = hint.replace('\0', "");
        typed(b'E', &[fields, b"H", hint.as_bytes(), b"\0\0"].concat())
    }

    /// The message, as far as it is UTF-8.
    pub fn message(&self) -> String {
        String::from_utf8_lossy(self.field(b'M').unwrap_or_default()).into_owned()
    }
}
