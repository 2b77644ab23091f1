//! An error as the application is told it: PostgreSQL's fields.

use std::ops::{Deref, DerefMut};

use bytes::{BufMut as _, BytesMut};
use pgferry_pg::{Severity, SqlState};

/// What an `ErrorResponse` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(Box<Fields>);

/// The fields of a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) severity: Severity,
    pub(crate) state: SqlState,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub(crate) position: Option<usize>,
    pub(crate) context: Option<String>,
    pub(crate) object: Object,
}

/// What an error is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) table: Option<String>,
    pub(crate) column: Option<String>,
    pub(crate) constraint: Option<String>,
}

impl Fault {
    pub(crate) fn error(state: SqlState, message: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            severity: Severity::Error,
            state,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            object: Object::default(),
        }))
    }

    pub(crate) fn fatal(mut self) -> Self {
        self.severity = Severity::Fatal;
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// After an error in a transaction.
    pub(crate) fn aborted() -> Self {
        let words =
            "current transaction is aborted, commands ignored until end of transaction block";
        Self::error(state::IN_FAILED_TRANSACTION.into(), words)
    }

    /// What cannot be done over the Data API, or not yet.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::error(SqlState::FEATURE_NOT_SUPPORTED, message)
    }

    /// Adds the fields, as they stand in an `ErrorResponse`.
    ///
    /// Source: <https://www.postgresql.org/docs/current/protocol-error-fields.html>
    pub(crate) fn encode_fields(&self, out: &mut BytesMut) {
        let severity = self.severity.as_str();
        let position = self.position.map(|position| position.to_string());
        let fields = [
            (b'S', Some(severity)),
            (b'V', Some(severity)),
            (b'C', Some(self.state.as_str())),
            (b'M', Some(self.message.as_str())),
            (b'D', self.detail.as_deref()),
            (b'H', self.hint.as_deref()),
            (b'P', position.as_deref()),
            (b'W', self.context.as_deref()),
            (b't', self.object.table.as_deref()),
            (b'c', self.object.column.as_deref()),
            (b'n', self.object.constraint.as_deref()),
        ];
        for (code, text) in fields {
            if let Some(text) = text {
                out.put_u8(code);
                out.extend(text.bytes().filter(|byte| *byte != 0));
                out.put_u8(0);
            }
        }
        out.put_u8(0);
    }
}

impl Deref for Fault {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl DerefMut for Fault {
    fn deref_mut(&mut self) -> &mut Fields {
        &mut self.0
    }
}

/// Codes that `pgferry-pg` has no use for.
///
/// Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub(crate) mod state {
    use pgferry_pg::SqlState;

    /// A code that is known to be one.
    #[derive(Clone, Copy)]
    pub(crate) struct Code([u8; 5]);

    const fn known(code: [u8; 5]) -> Code {
        Code(code)
    }

    impl From<Code> for SqlState {
        fn from(code: Code) -> Self {
            Self::parse(&code.0).unwrap_or(Self::INTERNAL_ERROR)
        }
    }

    pub(crate) const TRANSACTION_UNKNOWN: Code = known(*b"08007");
    pub(crate) const IN_FAILED_TRANSACTION: Code = known(*b"25P02");
    pub(crate) const IDLE_IN_TRANSACTION: Code = known(*b"25P03");
    pub(crate) const ACTIVE_TRANSACTION: Code = known(*b"25001");
    pub(crate) const NO_ACTIVE_TRANSACTION: Code = known(*b"25P01");
    pub(crate) const DUPLICATE_STATEMENT: Code = known(*b"42P05");
    pub(crate) const DUPLICATE_CURSOR: Code = known(*b"42P03");
    pub(crate) const SYNTAX_ERROR: Code = known(*b"42601");
    pub(crate) const INVALID_BINARY: Code = known(*b"22P03");
    pub(crate) const BAD_ENCODING: Code = known(*b"22021");
    pub(crate) const NOT_IN_PREREQUISITE_STATE: Code = known(*b"55000");
    pub(crate) const NO_SAVEPOINT: Code = known(*b"3B001");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_field_by_field_and_without_zero_bytes() {
        let mut fault = Fault::error(state::SYNTAX_ERROR.into(), "no\0ne").with_hint("make it");
        fault.position = Some(15);
        fault.object.table = Some("t".to_owned());
        let mut out = BytesMut::new();
        fault.encode_fields(&mut out);
        assert_eq!(&out[..], b"SERROR\0VERROR\0C42601\0Mnone\0Hmake it\0P15\0tt\0\0".as_slice());
    }
}
