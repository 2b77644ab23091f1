//! What a session reports.

use crate::{Operation, Severity, SqlState};

/// A point in time: nanoseconds on any monotonic clock of the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Tick(pub u64);

/// Something that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An operation ended, well or not.
    Operation(Sample),
    /// An `ErrorResponse` passed. There is one for each; if it ended an operation, that is reported in
    /// addition.
    Error {
        /// How bad.
        severity: Severity,
        /// Which one, if it could be read.
        sql_state: Option<SqlState>,
    },
    /// A transaction that was begun by a statement ended by one.
    Transaction(TransactionEnd),
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What it was.
    pub operation: Operation,
    /// How it ended.
    pub outcome: Outcome,
    /// From the last byte of the request to the answer that ended it.
    pub duration_nanos: u64,
    /// The code of its error.
    pub sql_state: Option<SqlState>,
    /// Rows returned or affected, if the database told.
    pub rows: Option<u64>,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it should.
    Ok,
    /// With an error.
    Error,
    /// Somebody cancelled it, or a timeout did (SQLSTATE 57014).
    Cancelled,
}

impl Outcome {
    /// Every outcome, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Error, Self::Cancelled];

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionEnd {
    /// It took effect.
    Commit,
    /// It did not.
    Rollback,
}

/// How an operation ended, before it is known which one it was.
#[derive(Debug)]
pub(super) struct Ending {
    /// By the command tag, which knows better than the beginning of the SQL text.
    pub(super) operation: Option<Operation>,
    pub(super) outcome: Outcome,
    pub(super) sql_state: Option<SqlState>,
    pub(super) rows: Option<u64>,
}

impl Ending {
    pub(super) fn ok() -> Self {
        Self { operation: None, outcome: Outcome::Ok, sql_state: None, rows: None }
    }

    pub(super) fn error(sql_state: Option<SqlState>) -> Self {
        let cancelled = sql_state == Some(SqlState::QUERY_CANCELED);
        let outcome = if cancelled { Outcome::Cancelled } else { Outcome::Error };
        Self { outcome, sql_state, ..Self::ok() }
    }

    pub(super) fn sample(&self, start: Tick, asked: Operation, now: Tick) -> Sample {
        Sample {
            operation: self.operation.unwrap_or(asked),
            outcome: self.outcome,
            duration_nanos: now.0.saturating_sub(start.0),
            sql_state: self.sql_state,
            rows: self.rows,
        }
    }
}
