//! The calls of the Data API, as the sessions need them: the seam at which tests put their own.

use std::future::Future;
use std::sync::Arc;

use crate::failure::Failure;

/// The calls for one database of one cluster, as one of its users.
///
/// Each is made once: whoever calls decides what may be repeated.
pub(crate) trait Api: Send + Sync + 'static {
    /// Runs one statement, in a transaction or by itself.
    ///
    /// Errors: what the database, the service or the way to it said.
    ///
    /// Cancel safety: the statement may go on, and may have been executed.
    fn execute(&self, call: Call) -> impl Future<Output = Result<Outcome, Failure>> + Send;

    /// Begins a transaction and names it.
    ///
    /// Cancel safety: one may have begun that nobody knows of; the service ends it after three minutes.
    fn begin(&self) -> impl Future<Output = Result<TransactionId, Failure>> + Send;

    /// Commits a transaction.
    ///
    /// Cancel safety: it may have been committed.
    fn commit(
        &self,
        transaction: &TransactionId,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Undoes a transaction.
    ///
    /// Cancel safety: it may have been undone.
    fn rollback(
        &self,
        transaction: &TransactionId,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A transaction as the service names it. Whoever has it, and may call, can use it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TransactionId(pub(crate) Arc<str>);

impl std::fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TransactionId")
    }
}

/// One statement to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    /// Its text, as the service's scanner wants it: `:pN` for parameters.
    pub(crate) sql: String,
    /// By name, without the colon.
    pub(crate) parameters: Vec<(String, Parameter)>,
    /// Where it runs; by itself without one.
    pub(crate) transaction: Option<TransactionId>,
    /// Whether it may go on after the service's limit for statements.
    pub(crate) outlives_limit: bool,
    /// Whether the columns of its result are to be described.
    pub(crate) describes: bool,
}

impl Call {
    pub(crate) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ..Self::default() }
    }

    pub(crate) fn within(self, transaction: Option<&TransactionId>) -> Self {
        Self { transaction: transaction.cloned(), ..self }
    }
}

/// The value of a parameter. PostgreSQL reads it from the text: the statement casts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    Null,
    Text(String),
}

/// What a statement gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// None if it returns no rows at all.
    pub(crate) columns: Option<Vec<Column>>,
    pub(crate) rows: Vec<Vec<Field>>,
    pub(crate) updated: u64,
}

/// What the service tells of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The type's name without its schema, as `int4`, `_text` or `serial`.
    pub(crate) type_name: String,
    pub(crate) precision: i32,
    pub(crate) scale: i32,
}

/// A value as the service writes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<Self>),
    /// Something a newer service has.
    Unknown,
}
