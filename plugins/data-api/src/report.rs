//! The database's own error, read from the one line of text that the service makes of it: pure.
//!
//! The fields stand behind the message, with their names, in PostgreSQL's order: `ERROR: relation "x" does
//! not exist; Position: 15; SQLState: 42P01`. Some versions write them on lines of their own. Texts hold what
//! users write, so the reading goes from the right, where the service's own words are.

use pgferry_pg::{Severity, SqlState};

use crate::fault::{Fault, Object};

/// Reads what the service says of an error of the database. None if it is none.
pub(crate) fn parse(text: &str) -> Option<Fault> {
    let (rest, state) = text.trim_end().rsplit_once("SQLState: ")?;
    let state = SqlState::parse(state.as_bytes())?;
    let rest = rest.trim_end().strip_suffix(';').unwrap_or(rest);
    let (severity, mut rest) = severity(rest);
    let mut fields = [None; LABELS.len()];
    for (label, field) in LABELS.iter().zip(&mut fields) {
        if let Some((before, value)) = split_last(rest, label) {
            rest = before;
            *field = Some(value);
        }
    }
    let [_, _, context, position, hint, detail] = fields.map(|field| field.map(tidy));
    let mut fault = Fault::error(state, tidy(rest));
    fault.severity = severity;
    fault.object = object(state, &fault.message);
    fault.position = position.and_then(|position| position.parse().ok());
    (fault.detail, fault.hint, fault.context) = (detail, hint, context);
    Some(fault)
}

/// From right to left.
const LABELS: [&str; 6] =
    ["Internal Position", "Internal Query", "Where", "Position", "Hint", "Detail"];

fn severity(text: &str) -> (Severity, &str) {
    let known = [Severity::Error, Severity::Fatal, Severity::Panic];
    known
        .into_iter()
        .find_map(|severity| {
            let rest = text.strip_prefix(severity.as_str())?.strip_prefix(':')?;
            Some((severity, rest.trim_start()))
        })
        .unwrap_or((Severity::Error, text))
}

/// The text before the last field of this name, and its value.
fn split_last<'a>(text: &'a str, label: &str) -> Option<(&'a str, &'a str)> {
    let (before, value) = text.rsplit_once(&format!("{label}: "))?;
    let bare = before.trim_end_matches(' ');
    let bare = bare.strip_suffix(';').or_else(|| bare.strip_suffix('\n'))?;
    let number = label.ends_with("Position");
    if number && !value.trim_end().bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((bare, value))
}

fn tidy(text: &str) -> String {
    text.trim().to_owned()
}

/// The service leaves out what an error is about; PostgreSQL's messages of class 23 name it.
///
/// Source: the messages of `src/backend/executor/execMain.c`, `access/nbtree/nbtinsert.c` and
/// `utils/adt/ri_triggers.c` in PostgreSQL.
fn object(state: SqlState, message: &str) -> Object {
    let named = |before: &str| {
        let (_, rest) = message.split_once(&format!("{before} \""))?;
        rest.split_once('"').map(|(name, _)| name.to_owned())
    };
    match state.as_str() {
        "23502" => {
            Object { table: named("of relation"), column: named("in column"), constraint: None }
        }
        "23503" => {
            let referencing = message.rsplit_once("\" on table \"").map(|(_, rest)| rest);
            let referencing = referencing.and_then(|rest| rest.split('"').next());
            let table = referencing.map(str::to_owned).or_else(|| named("on table"));
            Object { table, column: None, constraint: named("foreign key constraint") }
        }
        "23505" => Object { constraint: named("unique constraint"), ..Object::default() },
        "23514" => Object {
            table: named("for relation").or_else(|| named("of relation")),
            column: None,
            constraint: named("check constraint"),
        },
        "23P01" => Object { constraint: named("exclusion constraint"), ..Object::default() },
        _ => Object::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_behind_the_message_are_told_apart() {
        let fault =
            parse("ERROR: relation \"x\" does not exist; Position: 15; SQLState: 42P01").unwrap();
        assert_eq!(fault.state.as_str(), "42P01");
        assert_eq!(fault.message, "relation \"x\" does not exist");
        assert_eq!(fault.position, Some(15));
    }

    #[test]
    fn fields_on_lines_of_their_own_are_read_as_well() {
        let text = "ERROR: duplicate key value violates unique constraint \"t_pkey\"\n  Detail: Key (id)=(1) already exists.\n  Where: SQL statement; SQLState: 23505";
        let fault = parse(text).unwrap();
        assert_eq!(fault.detail.as_deref(), Some("Key (id)=(1) already exists."));
        assert_eq!(fault.context.as_deref(), Some("SQL statement"));
        assert_eq!(fault.object.constraint.as_deref(), Some("t_pkey"));
        assert_eq!(fault.message, "duplicate key value violates unique constraint \"t_pkey\"");
    }

    #[test]
    fn hint_and_position_are_read_in_the_services_order() {
        let fault = parse("ERROR: operator does not exist: integer = text; Hint: No operator matches.; Position: 36; SQLState: 42883").unwrap();
        assert_eq!(fault.hint.as_deref(), Some("No operator matches."));
        assert_eq!((fault.position, fault.state.as_str()), (Some(36), "42883"));
    }

    #[test]
    fn a_code_inside_the_users_data_is_not_taken_for_the_errors_own() {
        let text =
            "ERROR: invalid input syntax for type integer: \"; SQLState: 23505\"; SQLState: 22P02";
        let fault = parse(text).unwrap();
        assert_eq!(fault.state.as_str(), "22P02");
        assert!(fault.message.ends_with("\"; SQLState: 23505\""), "{}", fault.message);
    }

    #[test]
    fn a_fatal_error_stays_one_and_other_text_is_no_error_of_the_database() {
        let fault = parse("FATAL: terminating connection; SQLState: 57P01").unwrap();
        assert_eq!(fault.severity, Severity::Fatal);
        for text in ["", "Transaction is still running a query", "x; SQLState: 123"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn constraint_violations_name_what_they_are_about() {
        let cases = [
            (
                "ERROR: null value in column \"a\" of relation \"t\" violates not-null constraint; SQLState: 23502",
                (Some("t"), Some("a"), None),
            ),
            (
                "ERROR: insert or update on table \"t\" violates foreign key constraint \"t_fk\"; SQLState: 23503",
                (Some("t"), None, Some("t_fk")),
            ),
            (
                "ERROR: update or delete on table \"p\" violates foreign key constraint \"t_fk\" on table \"t\"; SQLState: 23503",
                (Some("t"), None, Some("t_fk")),
            ),
            (
                "ERROR: new row for relation \"t\" violates check constraint \"c\"; SQLState: 23514",
                (Some("t"), None, Some("c")),
            ),
        ];
        for (text, expected) in cases {
            let Object { table, column, constraint } = parse(text).unwrap().object.clone();
            let found = (table.as_deref(), column.as_deref(), constraint.as_deref());
            assert_eq!(found, expected, "{text}");
        }
    }
}
