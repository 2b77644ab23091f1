//! What a statement does, as far as its words say.

use std::ops::Range;

pub use copy::{Copy, CopyEnd, CopyFormat, CopyOption, CopyWhat, Direction};
pub use cursor::{Count, Cursor, Movement};
pub use transaction::{Isolation, Mode, Transaction};

mod copy;
mod cursor;
mod transaction;

/// What a statement does. Parts of it are spans in [`Statement::text`](crate::Statement::text).
///
/// Names are as the catalogs have them: in lower case unless they were quoted, 63 bytes at most.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// `SELECT`, `VALUES`, `TABLE`.
    Query(Query),
    /// `INSERT`, `UPDATE`, `DELETE`, `MERGE`.
    Change(Change),
    /// `BEGIN`, `COMMIT`, `SAVEPOINT`, `SET TRANSACTION`…
    Transaction(Transaction),
    /// `SET`, `RESET`, `SHOW`.
    Setting(Setting),
    /// `DISCARD`.
    Discard(Discard),
    /// `PREPARE`, `EXECUTE`, `DEALLOCATE`.
    Prepared(Prepared),
    /// `DECLARE`, `FETCH`, `MOVE`, `CLOSE`.
    Cursor(Cursor),
    /// `COPY`.
    Copy(Copy),
    /// `LISTEN`, `NOTIFY`, `UNLISTEN`.
    Notification(Notification),
    /// `EXPLAIN`.
    Explain(Explain),
    /// `CALL`.
    Call,
    /// `DO`.
    Do,
    /// `LOCK`.
    Lock,
    /// `CREATE TABLE … AS`, `CREATE MATERIALIZED VIEW`.
    CreateAs(CreateAs),
    /// Everything else that `PostgreSQL` has a command tag for.
    Utility(Utility),
    /// Begins as one of these does, and does not go on so: a syntax error. These are read here to their
    /// end because a transport may answer them itself: transactions, settings, prepared statements,
    /// cursors, `COPY`, notifications.
    Malformed {
        /// The byte where the token begins that does not belong there. The length of the text if it ends
        /// too early.
        at: usize,
    },
    /// Nothing that begins like a statement: `PostgreSQL` says what it thinks of it.
    Unknown,
}

/// A query. It may be in parentheses, and several may be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query {
    /// A `WITH` holds an `INSERT`, `UPDATE`, `DELETE` or `MERGE`.
    pub changes: bool,
    /// `SELECT … INTO`: makes a table, and gives no rows.
    pub into: bool,
    /// `FOR UPDATE` and its like.
    pub locks: bool,
}

/// A change of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub verb: Verb,
    /// Gives rows.
    pub returning: bool,
    /// A `WITH` holds another change.
    pub changes: bool,
}

/// The verb of a [`Change`].
#[expect(missing_docs, reason = "the words of SQL")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Insert,
    Update,
    Delete,
    Merge,
}

/// What happens to a run-time parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// `SET`. The words that are no assignments are named by their parameter: `SET ROLE` is of `role`,
    /// `SET TIME ZONE` of `timezone`, `SET NAMES` of `client_encoding`, `SET SCHEMA` of `search_path`.
    Set {
        /// For how long.
        scope: Scope,
        /// In lower case.
        name: String,
        /// Its values: usually one. None is `DEFAULT`.
        values: Option<Vec<String>>,
    },
    /// `RESET`; none is `ALL`.
    Reset(Option<String>),
    /// `SHOW`; none is `ALL`.
    Show(Option<String>),
}

/// How long a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To the end of the session, if the transaction commits.
    Session,
    /// To the end of the transaction.
    Local,
}

/// What `DISCARD` forgets.
#[expect(missing_docs, reason = "the words of SQL")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temporary,
}

/// Prepared statements by SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// `PREPARE name (types) AS body`.
    Prepare {
        /// Its name.
        name: String,
        /// The types of its parameters, as they are written. May be fewer than there are parameters.
        types: Vec<Range<usize>>,
        /// The statement.
        body: Range<usize>,
    },
    /// `EXECUTE name (arguments)`.
    Execute {
        /// Its name.
        name: String,
        /// Expressions.
        arguments: Vec<Range<usize>>,
    },
    /// `DEALLOCATE`; none is `ALL`.
    Deallocate(Option<String>),
}

/// Asynchronous notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// `LISTEN channel`.
    Listen(String),
    /// `NOTIFY channel, 'payload'`: done at the end of the transaction.
    Notify {
        /// The channel.
        channel: String,
        /// What it says; empty if it is left out.
        payload: String,
    },
    /// `UNLISTEN`; none is `*`.
    Unlisten(Option<String>),
}

/// `EXPLAIN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explain {
    /// The statement is run.
    pub analyze: bool,
    /// The statement.
    pub body: Range<usize>,
}

/// A table from a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateAs {
    /// `CREATE MATERIALIZED VIEW`.
    pub materialized: bool,
    /// Of the session alone.
    pub temporary: bool,
    /// Not `WITH NO DATA`.
    pub with_data: bool,
}

/// A statement that is neither of data nor of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utility {
    /// What `CommandComplete` says: `CREATE TABLE`.
    pub tag: String,
    /// PostgreSQL refuses it in a transaction block: `VACUUM`, `CREATE INDEX CONCURRENTLY`.
    pub alone: bool,
    /// What it makes belongs to the session alone.
    pub temporary: bool,
}

/// What running a statement twice would do, as far as its words say. In order: the least first.
///
/// Only the words are known: that a table is a view which calls `nextval`, that an operator, a cast or a
/// policy has a function behind it which writes, does not show in them. Who has to be sure runs it in a
/// `READ ONLY` transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It reads: a query without locks, of whose functions each is built in and changes nothing.
    Reads,
    /// It reads, and calls functions that may write.
    Calls,
    /// It may write. What is not known to read, writes.
    Writes,
}

/// Whether a statement answers with rows (`RowDescription`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Never.
    None,
    /// Always, even if there are none.
    Some,
    /// What it names decides: the procedure of a `CALL`, the statement of an `EXECUTE`.
    Unknown,
}
