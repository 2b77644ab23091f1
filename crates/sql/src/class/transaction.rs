//! Transactions.

use std::fmt;

/// A statement about transactions. `END` is `COMMIT`, `ABORT` is `ROLLBACK`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transaction {
    /// `BEGIN`.
    Begin(Vec<Mode>),
    /// `START TRANSACTION`: another command tag.
    Start(Vec<Mode>),
    /// `COMMIT`.
    Commit {
        /// `AND CHAIN`: another one with the same modes follows.
        chain: bool,
    },
    /// `ROLLBACK`.
    Rollback {
        /// As above.
        chain: bool,
    },
    /// `SAVEPOINT name`.
    Savepoint(String),
    /// `RELEASE SAVEPOINT name`.
    Release(String),
    /// `ROLLBACK TO SAVEPOINT name`.
    RollbackTo(String),
    /// `PREPARE TRANSACTION 'id'`.
    Prepare(String),
    /// `COMMIT PREPARED 'id'`.
    CommitPrepared(String),
    /// `ROLLBACK PREPARED 'id'`.
    RollbackPrepared(String),
    /// `SET [LOCAL] TRANSACTION`: of the one that is open.
    Set(Vec<Mode>),
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION`: of all that follow.
    SetDefaults(Vec<Mode>),
}

/// One of the modes of a transaction. Its `Display` is SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// `ISOLATION LEVEL …`.
    Isolation(Isolation),
    /// `READ ONLY`.
    ReadOnly,
    /// `READ WRITE`.
    ReadWrite,
    /// `DEFERRABLE`.
    Deferrable,
    /// `NOT DEFERRABLE`.
    NotDeferrable,
    /// `SNAPSHOT 'id'`, of `SET TRANSACTION` alone.
    Snapshot(String),
}

/// An isolation level.
#[expect(missing_docs, reason = "the words of SQL")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Isolation(level) => return write!(formatter, "ISOLATION LEVEL {level}"),
            Self::Snapshot(id) => {
                return write!(formatter, "SNAPSHOT '{}'", id.replace('\'', "''"));
            }
            Self::ReadOnly => "READ ONLY",
            Self::ReadWrite => "READ WRITE",
            Self::Deferrable => "DEFERRABLE",
            Self::NotDeferrable => "NOT DEFERRABLE",
        };
        formatter.write_str(words)
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        })
    }
}
