//! The five-character code that says what kind of error happened.

use std::fmt;

/// A SQLSTATE: five digits or upper-case letters.
///
/// Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// `connection_exception`'s sibling for "cannot connect": the path, TCP or TLS failed.
    pub const UNABLE_TO_CONNECT: Self = Self(*b"08001");
    /// `sqlserver_rejected_establishment_of_sqlconnection`: the far end said no.
    pub const CONNECTION_REJECTED: Self = Self(*b"08004");
    /// `connection_failure`: the connection was lost in the middle of a session.
    pub const CONNECTION_FAILURE: Self = Self(*b"08006");
    /// `protocol_violation`: a peer broke the protocol.
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    /// `feature_not_supported`: asked for something this proxy or path cannot do.
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    /// `invalid_parameter_value`: a startup parameter makes no sense.
    pub const INVALID_PARAMETER_VALUE: Self = Self(*b"22023");
    /// `read_only_sql_transaction`: a change was asked of a server or transaction that takes none.
    pub const READ_ONLY_SQL_TRANSACTION: Self = Self(*b"25006");
    /// `invalid_sql_statement_name`: unknown prepared statement.
    pub const INVALID_STATEMENT_NAME: Self = Self(*b"26000");
    /// `invalid_authorization_specification`: this user may not come in.
    pub const INVALID_AUTHORIZATION: Self = Self(*b"28000");
    /// `invalid_password`: the proof of the password was wrong.
    pub const INVALID_PASSWORD: Self = Self(*b"28P01");
    /// `invalid_cursor_name`: unknown portal.
    pub const INVALID_CURSOR_NAME: Self = Self(*b"34000");
    /// `invalid_catalog_name`: no such database.
    pub const INVALID_CATALOG_NAME: Self = Self(*b"3D000");
    /// `too_many_connections`: a connection limit is reached.
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// `configuration_limit_exceeded`: a limit that was set is reached.
    pub const CONFIGURATION_LIMIT_EXCEEDED: Self = Self(*b"53400");
    /// `program_limit_exceeded`: larger than a fixed limit.
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self(*b"54000");
    /// `query_canceled`: a cancel request or a timeout ended the statement.
    pub const QUERY_CANCELED: Self = Self(*b"57014");
    /// `admin_shutdown`: the session is ended on purpose.
    pub const ADMIN_SHUTDOWN: Self = Self(*b"57P01");
    /// `crash_shutdown`: the server lost another process and restarts.
    pub const CRASH_SHUTDOWN: Self = Self(*b"57P02");
    /// `cannot_connect_now`: not ready yet, worth trying again.
    pub const CANNOT_CONNECT_NOW: Self = Self(*b"57P03");
    /// `system_error`: something outside PostgreSQL failed.
    pub const SYSTEM_ERROR: Self = Self(*b"58000");
    /// `internal_error`: a bug of ours, and only that.
    pub const INTERNAL_ERROR: Self = Self(*b"XX000");

    /// Reads a code as it stands in the `C` field of an `ErrorResponse`.
    ///
    /// `None` unless it is exactly five characters of `0-9A-Z`.
    pub fn parse(code: &[u8]) -> Option<Self> {
        let code: [u8; 5] = code.try_into().ok()?;
        code.iter().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()).then_some(Self(code))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII gets past `parse` and the constants above.
        str::from_utf8(&self.0).unwrap_or("XX000")
    }

    /// The first two characters: the class of the code.
    pub fn class(&self) -> &str {
        self.as_str().get(..2).unwrap_or("XX")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlState({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_five_digits_or_upper_case_letters() {
        assert_eq!(SqlState::parse(b"57P01"), Some(SqlState::ADMIN_SHUTDOWN));
        for bad in [&b""[..], b"57P0", b"57P011", b"57p01", b"57 01", b"\xff7P01"] {
            assert_eq!(SqlState::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_code_shows_as_itself_and_knows_its_class() {
        assert_eq!(SqlState::QUERY_CANCELED.to_string(), "57014");
        assert_eq!(SqlState::QUERY_CANCELED.class(), "57");
        assert_eq!(format!("{:?}", SqlState::INTERNAL_ERROR), "SqlState(XX000)");
    }
}
