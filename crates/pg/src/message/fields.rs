//! The fields of an `ErrorResponse` or `NoticeResponse`.

use bytes::Bytes;

use super::take_cstring;
use crate::{Severity, SqlState};

/// Most fields that are kept; PostgreSQL sends 18 kinds.
const FIELDS_MAX: usize = 64;

/// What an error or notice says. Decoding tolerates everything: an error about an error helps nobody.
///
/// Source: <https://www.postgresql.org/docs/current/protocol-error-fields.html>
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorFields(Vec<(u8, Bytes)>);

impl ErrorFields {
    /// Reads a body, or the beginning of one.
    pub fn decode(mut body: Bytes) -> Self {
        let mut fields = Vec::new();
        while fields.len() < FIELDS_MAX && !body.is_empty() {
            let code = body.split_to(1).first().copied().unwrap_or_default();
            if code == 0 {
                break;
            }
            let Some(text) = take_cstring(&mut body) else { break };
            fields.push((code, text));
        }
        Self(fields)
    }

    /// A field by its code.
    pub fn field(&self, code: u8) -> Option<&[u8]> {
        self.0.iter().find(|(c, _)| *c == code).map(|(_, text)| text.as_ref())
    }

    /// The severity, from the field that is never translated if there is one (PostgreSQL 9.6).
    pub fn severity(&self) -> Option<Severity> {
        Severity::parse(self.field(b'V').or_else(|| self.field(b'S'))?)
    }

    /// The code.
    pub fn sql_state(&self) -> Option<SqlState> {
        SqlState::parse(self.field(b'C')?)
    }

    /// The message, as far as it is UTF-8.
    pub fn message(&self) -> String {
        String::from_utf8_lossy(self.field(b'M').unwrap_or_default()).into_owned()
    }
}
