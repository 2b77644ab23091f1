//! What is said of SQL, held against a real `PostgreSQL`.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

#[path = "../src/fuzzing/scanner.rs"]
mod scanner;

use std::{io::Write, process::Stdio};

use pgferry_simulators::{Postgres, Role};
use pgferry_sql::{Backslashes, Bound, Plan, Rewritten, statements};
use scanner::SCANNERS;

/// Queries with the types and the values of their parameters.
const QUERIES: &[(&str, &[(&str, &str)])] = &[
    ("select $1 + $2 as a, $1 as b", &[("int4", "1"), ("int4", "2")]),
    ("select $$a :b 'c' \"d\" -- /* $$, $1", &[("text", "it's")]),
    ("select (array[1,2,3,4])[2:3], ('{1,2,3}'::int[])[$1:$2]", &[("int4", "1"), ("int4", "2")]),
    (
        "select a[:b], a[b:], a[:], a[b - 1:b::int /* ] */] from (select array[1,2,3] as a, $1 as b) x",
        &[("int4", "2")],
    ),
    (
        "select ('{{1,2},{3,4}}'::int[])[1:(c[1:1])[1]][:2] from (select array[$1] as c) x",
        &[("int4", "2")],
    ),
    (
        "select make_interval(days := 2, hours:=-1), make_date(2020, month:=1, day := $1)",
        &[("int4", "5")],
    ),
    ("select 'C:\\', ':a', e'it\\'s :b \\\\', 'x\\''y', $1", &[("bool", "t")]),
    ("select'\\', $1", &[("timestamptz", "2020-01-02 03:04:05+06")]),
    ("select 1/* :a /* ' */ :b */+/* \" */$1 -- :c it's\r, $1", &[("int8", "9000000000")]),
    (
        "select U&'d\\0061t\\003a', \":a\".*, $1 from (select 2 as \":b\") \":a\"",
        &[("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")],
    ),
    ("select $a$ $b$ :x $b$ $a$, $_1$it's \\n$_1$, $1::text", &[("int2[]", "{1,2}")]),
    (
        "select x from unnest($1) as x where x = any($1) group by x order by x",
        &[("text[]", "{a,b}")],
    ),
    (
        "with s as (select $1::jsonb -> 'a' as j) select j::text, j @> $2 from s",
        &[("jsonb", "{\"a\": [1]}"), ("jsonb", "[1]")],
    ),
    ("select 'a'\n  ':b\\'\n 'c', $1", &[("bytea", "\\x0102")]),
    ("values ($1, $1::date + 1)", &[("date", "2020-02-28")]),
];

fn rewrite(sql: &str, types: &[&str]) -> Rewritten {
    let types: Vec<String> = types.iter().map(|kind| (*kind).to_owned()).collect();
    let plan = Plan { types: &types, columns: &[], limit: 65_536 };
    statements(sql, Backslashes::Literal)[0].rewrite(&plan).expect("short enough")
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `PREPARE` and `EXECUTE`, as one string for psql.
fn executed(sql: &str, types: &[&str], values: &[&str]) -> String {
    let list = |items: Vec<String>| match items.as_slice() {
        [] => String::new(),
        items => format!("({})", items.join(", ")),
    };
    let types = list(types.iter().map(|kind| (*kind).to_owned()).collect());
    let values = list(values.iter().map(|value| quote(value)).collect());
    format!("prepare p{types} as {sql}\n;\nexecute p{values};\n")
}

#[test]
fn a_rewritten_query_gives_the_same_rows_whatever_reads_its_placeholders() {
    let postgres = Postgres::start();
    for (sql, parameters) in QUERIES {
        let (types, values): (Vec<&str>, Vec<&str>) = parameters.iter().copied().unzip();
        let expected = postgres.query(&executed(sql, &types, &values)).expect(sql);
        assert!(!expected.is_empty(), "{sql}");
        let rewritten = rewrite(sql, &types);
        for scanner in SCANNERS {
            let (bound, names) = scanner.bind(&rewritten.sql);
            let values: Vec<&str> = names
                .iter()
                .map(|name| {
                    let own = rewritten.bindings.iter().find(|binding| binding.name == *name);
                    match &own.unwrap_or_else(|| panic!("{name} in {}", rewritten.sql)).value {
                        Bound::Parameter(number) => values[*number as usize - 1],
                        Bound::Text(text) => text,
                    }
                })
                .collect();
            let found = postgres.query(&executed(&bound, &vec!["text"; values.len()], &values));
            assert_eq!(found.expect(&bound), expected, "{scanner:?}\n{sql}\n{bound}");
        }
    }
}

#[test]
fn a_rewritten_definition_defines_the_same() {
    let postgres = Postgres::start();
    let body = "declare a int := 1; b text = 'it''s: \\'; begin -- :x\n\
                return (array[a, 2, 3])[1:2]::text || b || $1 || E':y\\t'; end";
    for sql in [
        format!("create or replace function f(text) returns text language plpgsql as $f${body}$f$"),
        "create or replace function f(a text) returns text return $1 || (array[1,2,3])[2:3]::text"
            .to_owned(),
        "create or replace function f(a text) returns text begin atomic select $1 || ':z'; end"
            .to_owned(),
    ] {
        let asked = "; select f('q'), prosrc from pg_proc where proname = 'f';";
        let expected = postgres.query(&format!("{sql}{asked}")).expect(&sql);
        let rewritten = rewrite(&sql, &[]);
        assert!(rewritten.bindings.is_empty());
        for scanner in SCANNERS {
            let (bound, names) = scanner.bind(&rewritten.sql);
            assert!(names.is_empty(), "{names:?} in {bound}");
            let found = postgres.query(&format!("drop function f; {bound}{asked}")).expect(&bound);
            assert_eq!(found, expected, "{bound}");
        }
    }
}

/// Where an error is, as the protocol says it: psql draws a picture.
fn error_position(postgres: &Postgres, sql: &str) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one");
    runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config.host_path(postgres.socket_directory()).port(postgres.port());
        config.user(Role::Trust.name()).dbname("app");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("connects");
        let connection = tokio::spawn(connection);
        let error = client.batch_execute(sql).await.expect_err(sql);
        let error = error.as_db_error().expect("an error of the database");
        let position = match error.position() {
            Some(tokio_postgres::error::ErrorPosition::Original(position)) => *position,
            other => panic!("{other:?}: {error:?}"),
        };
        drop(client);
        connection.await.expect("no panic").expect("ends well");
        position as usize
    })
}

#[test]
fn positions_of_errors_lead_back() {
    let postgres = Postgres::start();
    for sql in [
        "select 'é', $$é:$$, (array[1,2])[1:2], nothing",
        "select /* é /* */ */ $$a$$::text, (array[1,2])[1:nothing]",
        "select make_interval(days := 'x'::nothing)",
        "select 1; select ':', e'\\'', $$'$$ from nothing",
        "select $$é'$$ $$b$$",
        "select a[1:2",
        "select json_object('a' ::: b)",
    ] {
        let expected = error_position(&postgres, sql);
        let found = statements(sql, Backslashes::Literal);
        let last = found.last().expect("a statement");
        let plan = Plan { types: &[], columns: &[], limit: 65_536 };
        let rewritten = last.rewrite(&plan).expect("short enough");
        let position = error_position(&postgres, &rewritten.sql);
        assert_eq!(rewritten.map.to_source(position), expected, "{sql}\n{}", rewritten.sql);
        let forth = rewritten.map.to_rewritten(expected);
        assert_eq!(rewritten.map.to_source(forth), expected, "{sql}\n{}", rewritten.sql);
    }
}

/// One after the other, in one session.
const TAGGED: &[&str] = &[
    "create table t (a int, b text)",
    "insert into t values (1, 'a'), (2, 'b'), (3, 'c')",
    "with x as (select 4 as a) insert into t select a from x",
    "update t set b = 'd' where a > 1",
    "delete from t where a = 4",
    "merge into t using (select 1 as a) u on t.a = u.a when matched then update set b = 'e'",
    "create table u as select * from t",
    "create table v as select * from t with no data",
    "create materialized view w as select * from t",
    "create materialized view x as select * from t with no data",
    "refresh materialized view x",
    "select * into y from t",
    "create temporary view z as select 1",
    "create unique index i on t (a)",
    "create role r1",
    "create user r2",
    "alter user r2 nologin",
    "grant r1 to r2",
    "revoke r1 from r2",
    "grant select on t to r1",
    "revoke all on t from r1",
    "alter default privileges grant select on tables to r1",
    "drop owned by r1",
    "reassign owned by r2 to r1",
    "drop group r1, r2",
    "create function f() returns trigger language plpgsql as 'begin return new; end'",
    "create trigger g before insert on t for each row execute function f()",
    "create constraint trigger h after insert on t for each row execute function f()",
    "create rule r as on update to v do also nothing",
    "comment on table t is 'x'",
    "create type ty as enum ('a')",
    "alter type ty add value 'b'",
    "create domain d as int",
    "create sequence s",
    "create schema n",
    "create text search dictionary d (template = simple)",
    "create operator === (leftarg = int, rightarg = int, function = int4eq)",
    "create statistics st on a, b from t",
    "alter table t add c int",
    "set constraints all deferred",
    "set a.b = 1",
    "set transaction read write",
    "set session characteristics as transaction read write",
    "reset a.b",
    "begin",
    "savepoint a",
    "rollback to a",
    "release a",
    "lock t",
    "declare c scroll cursor for select * from t",
    "move 2 c",
    "close c",
    "close all",
    "commit and no chain",
    "start transaction",
    "abort",
    "prepare p as select 1",
    "deallocate p",
    "deallocate all",
    "listen a",
    "notify b",
    "unlisten *",
    "do 'begin end'",
    "truncate t",
    "analyze t",
    "vacuum t",
    "reindex table t",
    "cluster t using i",
    "checkpoint",
    "discard temp",
    "discard plans",
    "discard sequences",
    "discard all",
    "alter system reset work_mem",
    "drop table v cascade",
    "drop materialized view w, x",
    "drop text search dictionary d",
    "drop operator === (int, int)",
];

#[test]
fn command_tags_are_those_that_postgresql_sends() {
    let postgres = Postgres::start();
    let mut psql = postgres.client("psql");
    psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "app", "-h"]);
    psql.arg(postgres.socket_directory()).args(["-p", &postgres.port().to_string()]);
    psql.env("PGPASSWORD", postgres.password(Role::Superuser));
    psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut psql = psql.spawn().expect("psql starts");
    let script = format!("{};", TAGGED.join(";\n"));
    psql.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("psql reads");
    let output = psql.wait_with_output().expect("psql ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let answers = String::from_utf8(output.stdout).expect("UTF-8");
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), TAGGED.len(), "{answers:#?}");
    for (sql, answer) in TAGGED.iter().zip(answers) {
        let rows = answer.rsplit(' ').next().and_then(|rows| rows.parse().ok()).unwrap_or(0);
        let class = statements(sql, Backslashes::Literal)[0].classify();
        assert_eq!(class.command_tag(rows).as_deref(), Some(answer), "{sql}");
    }
}

#[test]
fn statements_that_stand_alone_are_refused_in_a_block() {
    let postgres = Postgres::start();
    for sql in [
        "vacuum",
        "create database d",
        "drop database d",
        "create index concurrently on pg_class (oid)",
        "reindex schema pg_catalog",
        "reindex database app",
        "cluster",
        "alter system set work_mem = '1MB'",
        "drop tablespace x",
    ] {
        let Err(error) = postgres.query(&format!("begin; {sql}")) else { panic!("{sql} is fine") };
        let words = ["cannot run inside a transaction block", "cannot be executed from a function"];
        let refused = words.iter().any(|words| error.to_string().contains(words));
        assert!(refused, "{sql}: {error}");
        let class = statements(sql, Backslashes::Literal)[0].classify();
        assert!(
            matches!(&class, pgferry_sql::Class::Utility(utility) if utility.alone),
            "{class:?}"
        );
    }
}

#[test]
fn functions_that_only_read_are_not_volatile() {
    let postgres = Postgres::start();
    let volatile = postgres
        .query(
            "select distinct proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace \
             and provolatile = 'v' and prokind in ('f', 'a', 'w')",
        )
        .expect("the catalog");
    let may_differ = [
        "random",
        "clock_timestamp",
        "timeofday",
        "gen_random_uuid",
        "pg_relation_size",
        "pg_total_relation_size",
        "pg_table_size",
        "pg_indexes_size",
        "pg_database_size",
        "pg_tablespace_size",
    ];
    let names: Vec<&str> = volatile.lines().filter(|name| !may_differ.contains(name)).collect();
    assert!(names.contains(&"nextval") && names.len() > 100, "{names:?}");
    for name in names {
        let sql = format!("select {name}(1)");
        let effect = statements(&sql, Backslashes::Literal)[0].effect();
        assert_eq!(effect, pgferry_sql::class::Effect::Calls, "{name}");
    }
}
