//! `COPY`.

use std::ops::Range;

/// A `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Into the database, or out of it.
    pub direction: Direction,
    /// Which rows.
    pub what: CopyWhat,
    /// Where the data comes from or goes to.
    pub end: CopyEnd,
    /// `text` unless said otherwise.
    pub format: CopyFormat,
    /// What else is said of the data, in the order it is written.
    pub options: Vec<CopyOption>,
    /// `WHERE`, of `COPY FROM`: an expression.
    pub condition: Option<Range<usize>>,
}

/// Seen from the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `COPY … FROM`.
    From,
    /// `COPY … TO`.
    To,
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyWhat {
    /// A table.
    Table {
        /// Its name as it is written, with its schema if that is said.
        name: Range<usize>,
        /// Names of columns; none are all of them.
        columns: Vec<String>,
    },
    /// The rows of a statement, without the parentheses around it.
    Query(Range<usize>),
}

/// The other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyEnd {
    /// `STDIN` or `STDOUT`: the client, by the protocol.
    Client,
    /// A file of the server.
    File,
    /// A program on the server.
    Program,
}

/// How rows are written.
#[expect(missing_docs, reason = "the words of SQL")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyFormat {
    #[default]
    Text,
    Csv,
    Binary,
}

/// An option but for the format, with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOption {
    /// In lower case, as in the parenthesised form: `delimiter`, `null`, `header`, `quote`, `escape`,
    /// `force_quote`, `force_not_null`, `force_null`, `encoding`, `freeze`, `default`, `on_error`…
    pub name: String,
    /// None where the name alone stands. A list of columns has several; `*` is one of them.
    pub values: Vec<String>,
}
