//! What running a statement twice would do.

use crate::{
    class::{Class, Copy, CopyEnd, CopyWhat, Direction, Effect, Explain, Setting},
    literal,
    statement::Statement,
    token::{Token, TokenKind},
};

mod functions;

/// The effect of `statement`, whose class is known.
pub(crate) fn effect(statement: &Statement<'_>, class: &Class) -> Effect {
    match class {
        Class::Query(query) if !query.changes && !query.into && !query.locks => calls(statement),
        Class::Setting(Setting::Show(_)) | Class::Explain(Explain { analyze: false, .. }) => {
            Effect::Reads
        }
        Class::Explain(Explain { body, .. }) => inner(statement, body),
        Class::Copy(Copy { direction: Direction::To, end: CopyEnd::Client, what, .. }) => {
            match what {
                CopyWhat::Table { .. } => Effect::Reads,
                CopyWhat::Query(query) => inner(statement, query),
            }
        }
        _ => Effect::Writes,
    }
}

fn inner(statement: &Statement<'_>, span: &std::ops::Range<usize>) -> Effect {
    statement.part(span.clone()).map_or(Effect::Writes, |part| part.effect())
}

/// Of a query: what its functions do.
fn calls(statement: &Statement<'_>) -> Effect {
    let words: Vec<&Token> = statement.words().collect();
    let sql = statement.text();
    let unknown = words.iter().enumerate().any(|(at, name)| {
        let called = words.get(at + 1).is_some_and(|next| next.kind == TokenKind::Symbol('('));
        called && !is_harmless(name, words.get(..at).unwrap_or_default(), sql)
    });
    if unknown { Effect::Calls } else { Effect::Reads }
}

/// Whether `name`, with a parenthesis behind it, calls no function that may write.
fn is_harmless(name: &Token, before: &[&Token], sql: &str) -> bool {
    let Some(known) = literal::name(name.kind, name.text(sql)) else {
        return !matches!(name.kind, TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier);
    };
    if let [.., schema, dot] = before
        && dot.kind == TokenKind::Symbol('.')
    {
        let catalog = literal::name(schema.kind, schema.text(sql));
        return catalog.as_deref() == Some("pg_catalog") && functions::only_reads(&known);
    }
    // `FROM t AS a (b, c)`, `WITH a (b) AS`: columns, no arguments.
    let renames = ["as", "with", "recursive"];
    let columns = before.last().is_some_and(|last| renames.iter().any(|word| last.is(word, sql)));
    let syntax = name.kind == TokenKind::Word && functions::is_syntax(&known);
    columns || syntax || functions::only_reads(&known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backslashes, statements};

    fn of(sql: &str) -> Effect {
        statements(sql, Backslashes::Literal)[0].effect()
    }

    #[test]
    fn a_query_of_built_in_functions_reads() {
        for sql in [
            "select 1",
            "values (1), (2)",
            "table t",
            "(select lower(a), pg_catalog.count(*) from t where a in ('nextval(1)')) limit 1",
            "with x (a) as (select 1) select * from x as y (b)",
            "select c.relname::varchar(3) from pg_catalog.pg_class c order by 1",
            "show all",
            "explain delete from t",
            "explain (analyze, verbose) select 1",
            "copy t to stdout",
            "copy (select 1) to stdout",
        ] {
            assert_eq!(of(sql), Effect::Reads, "{sql}");
        }
    }

    #[test]
    fn a_query_of_other_functions_may_write() {
        for sql in [
            "select nextval('s')",
            "select mine()",
            "select public.lower('A')",
            "select \"lower\" ('A'), \"Lower\"('A')",
            "select set_config('a.b', 'c', false)",
            "select pg_advisory_lock (1)",
            "explain analyze select mine()",
            "copy (select mine()) to stdout",
        ] {
            assert_eq!(of(sql), Effect::Calls, "{sql}");
        }
    }

    #[test]
    fn everything_else_writes() {
        for sql in [
            "insert into t values (1)",
            "with x as (delete from t returning *) select * from x",
            "with a as (with b as (select 1) insert into t select * from b returning 1) table a",
            "select * from t for no key update",
            "select * into u from t",
            "select * from (select 1 from t for share) x",
            "explain analyze delete from t",
            "explain (analyze on) create table u as select 1",
            "copy t from stdin",
            "copy t to '/tmp/x'",
            "set a.b = 1",
            "begin",
            "fetch c",
            "call p()",
            "do ''",
            "nonsense",
        ] {
            assert_eq!(of(sql), Effect::Writes, "{sql}");
        }
    }
}
