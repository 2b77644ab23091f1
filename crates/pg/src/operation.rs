//! What a statement does, as one word of a closed list.

/// Declares the enum and everything that lists its variants, from one list.
macro_rules! operations {
    ($($variant:ident = $name:literal,)*) => {
        /// A kind of statement, by the word PostgreSQL's command tag starts with.
        ///
        /// The list is closed, for it labels metrics; `operation as usize` indexes [`Operation::ALL`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Operation {
            $(#[doc = $name] $variant,)*
        }

        impl Operation {
            /// Every operation, in the order of the enum.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            fn from_word(word: &[u8]) -> Self {
                match word {
                    $(word if word == $name.as_bytes() => Self::$variant,)*
                    b"WITH" | b"VALUES" | b"TABLE" => Self::Select,
                    b"START" => Self::Begin,
                    b"END" => Self::Commit,
                    b"ABORT" => Self::Rollback,
                    b"ANALYSE" => Self::Analyze,
                    _ => Self::Other,
                }
            }
        }
    };
}

operations! {
    Select = "SELECT",
    Insert = "INSERT",
    Update = "UPDATE",
    Delete = "DELETE",
    Merge = "MERGE",
    Copy = "COPY",
    Begin = "BEGIN",
    Commit = "COMMIT",
    Rollback = "ROLLBACK",
    Savepoint = "SAVEPOINT",
    Release = "RELEASE",
    Set = "SET",
    Reset = "RESET",
    Show = "SHOW",
    Discard = "DISCARD",
    Create = "CREATE",
    Alter = "ALTER",
    Drop = "DROP",
    Truncate = "TRUNCATE",
    Comment = "COMMENT",
    Refresh = "REFRESH",
    Reindex = "REINDEX",
    Cluster = "CLUSTER",
    Declare = "DECLARE",
    Fetch = "FETCH",
    Move = "MOVE",
    Close = "CLOSE",
    Explain = "EXPLAIN",
    Analyze = "ANALYZE",
    Vacuum = "VACUUM",
    Checkpoint = "CHECKPOINT",
    Listen = "LISTEN",
    Unlisten = "UNLISTEN",
    Notify = "NOTIFY",
    Prepare = "PREPARE",
    Execute = "EXECUTE",
    Deallocate = "DEALLOCATE",
    Call = "CALL",
    Do = "DO",
    Grant = "GRANT",
    Revoke = "REVOKE",
    Lock = "LOCK",
    Other = "OTHER",
}

/// Longest word of the list.
const WORD_MAX: usize = 10;

impl Operation {
    /// From a command tag such as `INSERT 0 1`, with or without its terminator.
    pub fn from_command_tag(tag: &[u8]) -> Self {
        let end = tag.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(tag.len());
        Self::from_word(tag.get(..end).unwrap_or_default())
    }

    /// From the first keyword of SQL text, which may be cut short anywhere.
    ///
    /// `WITH` counts as `SELECT`: what it leads to may stand pages further down.
    pub fn from_sql(sql: &[u8]) -> Self {
        let text = skip_to_keyword(sql);
        let mut word = [0; WORD_MAX];
        let mut length = 0;
        for byte in text.iter().take_while(|byte| is_word(**byte)) {
            let Some(slot) = word.get_mut(length) else { return Self::Other };
            *slot = byte.to_ascii_uppercase();
            length += 1;
        }
        Self::from_word(word.get(..length).unwrap_or_default())
    }
}

/// Rows in a command tag: its last word, if that is a number.
///
/// Source: `CommandComplete` in
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
pub fn rows_in_command_tag(tag: &[u8]) -> Option<u64> {
    let text = tag.strip_suffix(b"\0").unwrap_or(tag);
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, number) = text.split_at(text.len() - digits);
    if digits == 0 || !before.ends_with(b" ") {
        return None;
    }
    number
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Steps over white space, comments, opening parentheses and empty statements.
fn skip_to_keyword(mut sql: &[u8]) -> &[u8] {
    loop {
        sql = match sql {
            [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | b'(' | b';', rest @ ..] => rest,
            [b'-', b'-', rest @ ..] => {
                let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                end.and_then(|end| rest.get(end..)).unwrap_or_default()
            }
            [b'/', b'*', rest @ ..] => skip_block_comment(rest),
            _ => return sql,
        };
    }
}

/// Steps behind the end of a comment whose opening was just read. They nest in PostgreSQL.
fn skip_block_comment(mut sql: &[u8]) -> &[u8] {
    let mut depth = 1_usize;
    while depth > 0 {
        sql = match sql {
            [b'/', b'*', rest @ ..] => {
                depth += 1;
                rest
            }
            [b'*', b'/', rest @ ..] => {
                depth -= 1;
                rest
            }
            [_, rest @ ..] => rest,
            [] => return sql,
        };
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_stands_at_its_own_index_and_is_found_by_its_word() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, index);
            assert!(operation.as_str().len() <= WORD_MAX);
            assert_eq!(Operation::from_sql(operation.as_str().as_bytes()), operation);
            assert_eq!(Operation::from_command_tag(operation.as_str().as_bytes()), operation);
        }
    }

    #[test]
    fn a_command_tag_names_operation_and_rows() {
        for (tag, operation, rows) in [
            (&b"INSERT 0 12\0"[..], Operation::Insert, Some(12)),
            (b"SELECT 5", Operation::Select, Some(5)),
            (b"CREATE TABLE\0", Operation::Create, None),
            (b"CREATE TABLE AS\0", Operation::Create, None),
            (b"START TRANSACTION\0", Operation::Begin, None),
            (b"REFRESH MATERIALIZED VIEW\0", Operation::Refresh, None),
            (b"COPY 18446744073709551615\0", Operation::Copy, Some(u64::MAX)),
            (b"COPY 18446744073709551616\0", Operation::Copy, None),
            (b"CREATE2\0", Operation::Create, None),
            (b"12\0", Operation::Other, None),
            (b"\0", Operation::Other, None),
            (b"", Operation::Other, None),
            (b"\xff\xff 1", Operation::Other, Some(1)),
        ] {
            assert_eq!(Operation::from_command_tag(tag), operation, "{tag:?}");
            assert_eq!(rows_in_command_tag(tag), rows, "{tag:?}");
        }
    }

    #[test]
    fn the_first_keyword_is_found_behind_whatever_precedes_it() {
        for (sql, operation) in [
            ("select 1", Operation::Select),
            (" \r\n\t((SELECT 1) UNION SELECT 2)", Operation::Select),
            ("-- why\n-- indeed\nUpdate t set a=1", Operation::Update),
            ("/* a /* nested */ one */insert into t", Operation::Insert),
            ("/*/ tricky */ delete from t", Operation::Delete),
            (";; ; commit", Operation::Commit),
            ("WITH x AS (SELECT 1) DELETE FROM t", Operation::Select),
            ("values (1)", Operation::Select),
            ("END", Operation::Commit),
            ("abort", Operation::Rollback),
            ("selection", Operation::Other),
            ("START_REPLICATION SLOT x", Operation::Other),
            ("deallocatesomething", Operation::Other),
            ("sélect", Operation::Other),
            ("/* never closed select 1", Operation::Other),
            ("-- never ended select 1", Operation::Other),
            ("- select", Operation::Other),
            ("", Operation::Other),
        ] {
            assert_eq!(Operation::from_sql(sql.as_bytes()), operation, "{sql}");
        }
    }
}
