//! What a statement answers with.
//!
//! Source: `CommandComplete` in "Message Formats" (55.7) of PostgreSQL's documentation, and
//! `src/include/tcop/cmdtaglist.h`.

use crate::class::{
    Class, CreateAs, Cursor, Discard, Notification, Prepared, Rows, Setting, Transaction, Verb,
};

impl Class {
    /// Whether it answers with rows.
    pub fn returns_rows(&self) -> Rows {
        let rows = match self {
            Self::Query(query) => !query.into,
            Self::Change(change) => change.returning,
            Self::Setting(Setting::Show(_)) | Self::Explain(_) | Self::Cursor(Cursor::Fetch(_)) => {
                true
            }
            Self::Prepared(Prepared::Execute { .. }) | Self::Call | Self::Unknown => {
                return Rows::Unknown;
            }
            _ => false,
        };
        if rows { Rows::Some } else { Rows::None }
    }

    /// The tag of its `CommandComplete`, where it concerned `rows` rows. None for an `EXECUTE`, which has
    /// the tag of what it runs, and for what is no statement.
    ///
    /// `COMMIT` of a failed transaction says `ROLLBACK`: who asks knows that.
    pub fn command_tag(&self, rows: u64) -> Option<String> {
        let words = match self {
            Self::Query(_) => return Some(format!("SELECT {rows}")),
            Self::Change(change) => return Some(change.verb.tag(rows)),
            Self::Cursor(Cursor::Fetch(_)) => return Some(format!("FETCH {rows}")),
            Self::Cursor(Cursor::Move(_)) => return Some(format!("MOVE {rows}")),
            Self::Copy(_) => return Some(format!("COPY {rows}")),
            Self::CreateAs(create) => return Some(create.tag(rows)),
            Self::Utility(utility) => &utility.tag,
            Self::Transaction(transaction) => transaction.tag(),
            Self::Setting(Setting::Set { .. }) => "SET",
            Self::Setting(Setting::Reset(_)) => "RESET",
            Self::Setting(Setting::Show(_)) => "SHOW",
            Self::Discard(Discard::All) => "DISCARD ALL",
            Self::Discard(Discard::Plans) => "DISCARD PLANS",
            Self::Discard(Discard::Sequences) => "DISCARD SEQUENCES",
            Self::Discard(Discard::Temporary) => "DISCARD TEMP",
            Self::Prepared(Prepared::Prepare { .. }) => "PREPARE",
            Self::Prepared(Prepared::Deallocate(Some(_))) => "DEALLOCATE",
            Self::Prepared(Prepared::Deallocate(None)) => "DEALLOCATE ALL",
            Self::Cursor(Cursor::Declare { .. }) => "DECLARE CURSOR",
            Self::Cursor(Cursor::Close(Some(_))) => "CLOSE CURSOR",
            Self::Cursor(Cursor::Close(None)) => "CLOSE CURSOR ALL",
            Self::Notification(Notification::Listen(_)) => "LISTEN",
            Self::Notification(Notification::Notify { .. }) => "NOTIFY",
            Self::Notification(Notification::Unlisten(_)) => "UNLISTEN",
            Self::Explain(_) => "EXPLAIN",
            Self::Call => "CALL",
            Self::Do => "DO",
            Self::Lock => "LOCK TABLE",
            Self::Prepared(Prepared::Execute { .. }) | Self::Malformed { .. } | Self::Unknown => {
                return None;
            }
        };
        Some(words.to_owned())
    }
}

impl Verb {
    /// `INSERT` has kept the place of an object identifier.
    fn tag(self, rows: u64) -> String {
        match self {
            Self::Insert => format!("INSERT 0 {rows}"),
            Self::Update => format!("UPDATE {rows}"),
            Self::Delete => format!("DELETE {rows}"),
            Self::Merge => format!("MERGE {rows}"),
        }
    }
}

impl CreateAs {
    fn tag(&self, rows: u64) -> String {
        match (self.with_data, self.materialized) {
            (true, _) => format!("SELECT {rows}"),
            (false, true) => "CREATE MATERIALIZED VIEW".to_owned(),
            (false, false) => "CREATE TABLE AS".to_owned(),
        }
    }
}

impl Transaction {
    fn tag(&self) -> &'static str {
        match self {
            Self::Begin(_) => "BEGIN",
            Self::Start(_) => "START TRANSACTION",
            Self::Commit { .. } => "COMMIT",
            Self::Rollback { .. } | Self::RollbackTo(_) => "ROLLBACK",
            Self::Savepoint(_) => "SAVEPOINT",
            Self::Release(_) => "RELEASE",
            Self::Prepare(_) => "PREPARE TRANSACTION",
            Self::CommitPrepared(_) => "COMMIT PREPARED",
            Self::RollbackPrepared(_) => "ROLLBACK PREPARED",
            Self::Set(_) | Self::SetDefaults(_) => "SET",
        }
    }
}
