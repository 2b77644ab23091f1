//! What nobody has published about the real service, as settings.

/// Every behaviour that could not be learnt from documentation or other people's measurements. The
/// default is the one that is harder on a client; what has to work with the real service should
/// work with both.
#[derive(Clone, Debug)]
pub struct Unknowns {
    /// Whether the 64 KB a row may have by the user guide count while the result is below 1 MB.
    pub row_limit: RowLimit,
    /// Whether the scanner knows that backslashes escape in `E'…'`.
    pub escape_strings: EscapeStrings,
    /// Who finds that there are several statements.
    pub several: SeveralStatements,
    /// What is left on a session for the next call.
    pub leftovers: Leftovers,
    /// What becomes of a statement outside a transaction whose rows cannot be returned.
    pub undecodable: Undecodable,
    /// What becomes of a statement whose caller goes away.
    pub abandoned: Abandoned,
    /// What a commit says when an error has aborted the transaction.
    pub aborted_commit: AbortedCommit,
    /// How the parts of a database error are put together.
    pub error_text: ErrorText,
    /// What typed a NULL parameter is.
    pub null_type: NullType,
    /// Types taken although the list of the user guide lacks them, in sqlx's names: `OID`, `BIT`.
    pub also_supported: Vec<String>,
    /// Types refused although the list of the user guide has them, such as `UUID[]`.
    pub not_supported: Vec<String>,
}

/// See [`Unknowns::row_limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowLimit {
    /// A row of more than 65,536 bytes is an error.
    Enforced,
    /// Only the whole result counts.
    None,
}

/// See [`Unknowns::escape_strings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EscapeStrings {
    /// `E'\''` is one string.
    Known,
    /// `E'\''` is a string and the begin of another.
    Unknown,
}

/// See [`Unknowns::several`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeveralStatements {
    /// Whoever looks for semicolons, to whom `BEGIN ATOMIC … END` is several.
    BySemicolon,
    /// PostgreSQL.
    AsPostgres,
}

/// See [`Unknowns::leftovers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// Settings, locks and the like stay, and meet whoever gets the session next.
    Stay,
    /// Each call and each transaction has a session that nobody had before.
    Discarded,
}

/// See [`Unknowns::undecodable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// It has happened all the same.
    Committed,
    /// It is rolled back.
    RolledBack,
}

/// See [`Unknowns::abandoned`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It runs to its end.
    RunsOn,
    /// It is cancelled.
    Cancelled,
}

/// See [`Unknowns::aborted_commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortedCommit {
    /// "Transaction Committed", though PostgreSQL has rolled back.
    SaysCommitted,
    /// `TransactionNotFoundException`.
    NotFound,
}

/// See [`Unknowns::error_text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorText {
    /// `ERROR: …; Detail: …; SQLState: 23505`
    Semicolons,
    /// `ERROR: …`, then `Detail: …` on a line of its own; `; SQLState: 23505` ends it.
    Lines,
}

/// See [`Unknowns::null_type`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullType {
    /// Text, whatever the hint.
    Text,
    /// As a value with the same hint.
    Hinted,
}

impl Default for Unknowns {
    fn default() -> Self {
        Self {
            row_limit: RowLimit::Enforced,
            escape_strings: EscapeStrings::Unknown,
            several: SeveralStatements::BySemicolon,
            leftovers: Leftovers::Stay,
            undecodable: Undecodable::Committed,
            abandoned: Abandoned::RunsOn,
            aborted_commit: AbortedCommit::SaysCommitted,
            error_text: ErrorText::Semicolons,
            null_type: NullType::Text,
            also_supported: Vec::new(),
            not_supported: Vec::new(),
        }
    }
}
