use super::*;
use crate::{Backslashes, statements};

const NO_PLAN: Plan<'_> = Plan { types: &[], columns: &[], limit: usize::MAX };

fn rewritten(sql: &str) -> String {
    rewritten_with(sql, Backslashes::Literal)
}

fn rewritten_with(sql: &str, backslashes: Backslashes) -> String {
    statements(sql, backslashes)[0].rewrite(&NO_PLAN).unwrap().sql
}

#[test]
fn parameters_become_casts_of_placeholders() {
    let statements =
        statements("select 1; select $2::text, $1 + 1$1, a$1 -- $3", Backslashes::Literal);
    let types = ["int4".to_owned(), "pg_catalog.\"char\"[]".to_owned()];
    let rewritten = statements[1].rewrite(&Plan { types: &types, ..NO_PLAN }).unwrap();
    assert_eq!(
        rewritten.sql,
        "select CAST(:p2 AS pg_catalog.\"char\"[])::text, CAST(:p1 AS int4) + 1 CAST(:p1 AS int4), \
         a$1 -- $3"
    );
    let binding = |number| Binding { name: format!("p{number}"), value: Bound::Parameter(number) };
    assert_eq!(rewritten.bindings, [binding(1), binding(2)]);
    // At the second `$1`.
    let at = rewritten.sql.rfind("CAST(:p1").unwrap() + 1;
    assert_eq!(rewritten.map.to_source(at), 34);
    assert_eq!(rewritten.map.to_rewritten(11), 1);
}

#[test]
fn parameters_without_a_type_are_placeholders_alone() {
    assert_eq!(rewritten("select $1and$2"), "select :p1 and$2");
    assert_eq!(rewritten("select $1 and $2"), "select :p1 and :p2");
    assert_eq!(rewritten("select 1::$1"), "select 1:: :p1");
}

#[test]
fn what_is_a_parameter_of_another_statement_stays() {
    for sql in [
        "prepare p as select $1",
        "create function f(int) returns int return $1",
        "create or replace function f(int) returns int begin atomic select $1; end",
    ] {
        assert_eq!(rewritten(sql), sql);
    }
}

#[test]
fn dollar_quotes_become_quotes() {
    for (sql, expected) in [
        ("do $$begin x := ':a'; end$$", "do 'begin x := '':a''; end'"),
        ("select $a$\\:b$a$", "select E'\\\\:b'"),
        ("select 1$$\\$$", "select 1 E'\\\\'"),
        ("select 1$$a$$b", "select 1'a'b"),
        ("select $$a$$'b'", "select $$a$$'b'"),
        ("select $$a$$ /**/ $$b$$", "select $$a$$ /**/ $$b$$"),
    ] {
        assert_eq!(rewritten(sql), expected, "{sql}");
    }
}

#[test]
fn quotes_behind_backslashes_are_written_so_that_every_reader_agrees() {
    assert_eq!(rewritten("select e'it\\'s \\\\'"), "select e'it''s \\\\'");
    assert_eq!(rewritten("select'C:\\'"), "select E'C:\\\\'");
    assert_eq!(rewritten("select 'C:\\x'"), "select 'C:\\x'");
    assert_eq!(rewritten_with("select 'it\\'s'", Backslashes::Escape), "select E'it''s'");
}

#[test]
fn a_colon_never_stands_before_a_word() {
    for (sql, expected) in [
        ("select a[1:2]", "select a[1:(2)]"),
        ("select a[1: b /*:*/ ][$1:$2]", "select a[1:( b) /*:*/ ][:p1:( :p2)]"),
        ("select a[:c[d:e]]", "select a[:(c[d:(e)])]"),
        ("select a[1:], b[:]", "select a[1:], b[:]"),
        ("select a[f(1, 2)::int:3]", "select a[f(1, 2)::int:(3)]"),
        ("select json_object('a':b)", "select json_object('a': b)"),
        ("select f(a:=1, \"B\" :=@ -1)", "select f(a=> 1, \"B\" => @ -1)"),
        ("select :a", "select : a"),
        ("select a[1:b", "select a[1: b"),
        ("select a:::b", "select a::: b"),
    ] {
        assert_eq!(rewritten(sql), expected, "{sql}");
    }
}

#[test]
fn comments_end_where_every_reader_ends_them() {
    assert_eq!(rewritten("select /*+ a */ 1 -- :b"), "select /*+ a */ 1 -- :b");
    assert_eq!(rewritten("select/* a /* b */ c */1"), "select 1");
    assert_eq!(rewritten("select 1 -- it's\r, $1 --\r\n"), "select 1  \r, :p1 --");
}

#[test]
fn a_long_statement_gets_shorter_by_the_strings_whose_type_is_known() {
    let long = "é".repeat(200);
    let sql = format!(
        "insert into t (a, b, c) values ($1, '{long}', f('{long}')), (1, '{long}'::text, cast('{long}' as x))"
    );
    let columns = ["int4", "jsonb", "x"].map(str::to_owned);
    let statement = &statements(&sql, Backslashes::Literal)[0];
    let plan = Plan { columns: &columns, limit: 450, ..NO_PLAN };
    let rewritten = statement.rewrite(&plan).unwrap();
    assert_eq!(
        rewritten.sql,
        format!(
            "insert into t (a, b, c) values (:p1,  CAST(:l1 AS jsonb) , f('{long}')), \
             (1,  CAST(:l2 AS pg_catalog.text) ::text, cast( CAST(:l3 AS pg_catalog.text)  as x))"
        )
    );
    assert_eq!(rewritten.bindings.len(), 4);
    assert_eq!(rewritten.bindings[1], Binding { name: "l1".into(), value: Bound::Text(long) });
    let error = statement.rewrite(&Plan { limit: 200, ..plan }).unwrap_err();
    assert_eq!(error.to_string(), format!("the statement has {} characters", error.characters));
    let roomy = statement.rewrite(&Plan { limit: 5000, ..plan }).unwrap();
    assert_eq!(roomy.bindings.len(), 1);
}
