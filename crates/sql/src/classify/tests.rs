use crate::{Backslashes, class::*, statements};

fn of(sql: &str) -> Class {
    let found = statements(sql, Backslashes::Literal);
    assert_eq!(found.len(), 1, "{sql}");
    found[0].classify()
}

fn tag(sql: &str) -> String {
    of(sql).command_tag(3).unwrap_or_else(|| panic!("{sql} has no tag"))
}

#[test]
fn queries_are_known_in_every_form() {
    for sql in [
        "select 1",
        "/* a */ ((select 1) union select 2)",
        "values (1)",
        "table t",
        "with recursive a(b) as not materialized (select 1), insert as (select 2) select 3",
        "with a as (select 1) search depth first by b, c set d, e as (select 1) (select 2)",
        "with a as (select 1) cycle b set c using d select \"into\" as into, f.into from g",
        "select update from (insert) x",
    ] {
        assert_eq!(of(sql), Class::Query(Query::default()), "{sql}");
    }
    let query = |sql| match of(sql) {
        Class::Query(query) => (query.changes, query.into, query.locks),
        other => panic!("{sql} is {other:?}"),
    };
    assert_eq!(
        query("with a as (insert into t values (1) returning 1) table a"),
        (true, false, false)
    );
    assert_eq!(query("with a as (update only t set b = 1) select 1"), (true, false, false));
    assert_eq!(query("select 1 into temp a"), (false, true, false));
    assert_eq!(query("select 1 from t for key share"), (false, false, true));
}

#[test]
fn changes_say_whether_they_give_rows() {
    for (sql, verb, returning, changes) in [
        ("insert into t values (1)", Verb::Insert, false, false),
        ("insert into t select (1) returning *", Verb::Insert, true, false),
        ("with a as (delete from t returning *) insert into u table a", Verb::Insert, false, true),
        ("with a as (select 1) update t set b = 1 returning b", Verb::Update, true, false),
        ("delete from t where json_value(a, '$' returning int) = 1", Verb::Delete, false, false),
        ("merge into t using u on true when matched then delete", Verb::Merge, false, false),
    ] {
        assert_eq!(of(sql), Class::Change(Change { verb, returning, changes }), "{sql}");
    }
}

#[test]
fn transactions_are_read_to_the_end() {
    use Transaction::*;
    let modes = vec![Mode::Isolation(Isolation::RepeatableRead), Mode::ReadOnly];
    for (sql, expected) in [
        ("begin", Begin(vec![])),
        ("begin work isolation level repeatable read, read only", Begin(modes.clone())),
        ("start transaction isolation level repeatable read read only", Start(modes.clone())),
        ("end", Commit { chain: false }),
        ("commit transaction and chain", Commit { chain: true }),
        ("abort and no chain", Rollback { chain: false }),
        ("savepoint \"A\"", Savepoint("A".into())),
        ("release savepoint", Release("savepoint".into())),
        ("release savepoint B", Release("b".into())),
        ("rollback work to savepoint b", RollbackTo("b".into())),
        ("prepare transaction 'x'", Prepare("x".into())),
        ("commit prepared 'x'", CommitPrepared("x".into())),
        ("rollback prepared 'x'", RollbackPrepared("x".into())),
        ("set transaction not deferrable", Set(vec![Mode::NotDeferrable])),
        ("set local transaction snapshot 'a'", Set(vec![Mode::Snapshot("a".into())])),
        (
            "set session characteristics as transaction read write",
            SetDefaults(vec![Mode::ReadWrite]),
        ),
    ] {
        assert_eq!(of(sql), Class::Transaction(expected), "{sql}");
    }
    assert_eq!(modes[0].to_string(), "ISOLATION LEVEL REPEATABLE READ");
}

#[test]
fn what_goes_on_wrongly_is_malformed_where_it_does() {
    for (sql, at) in [
        ("begin nonsense", "nonsense"),
        ("commit and", ""),
        ("set a", ""),
        ("set transaction", ""),
        ("savepoint a b", "b"),
        ("fetch all of it", "it"),
        ("copy t into stdin", "into"),
        ("deallocate 1", "1"),
        ("discard everything", "everything"),
        ("explain", ""),
    ] {
        let at = if at.is_empty() { sql.len() } else { sql.find(at).unwrap() };
        assert_eq!(of(sql), Class::Malformed { at }, "{sql}");
    }
    assert_eq!(of("nonsense"), Class::Unknown);
    assert_eq!(of("1"), Class::Unknown);
}

#[test]
fn settings_have_a_name_and_values() {
    let set = |scope, name: &str, values: Option<&[&str]>| {
        let values = values.map(|values| values.iter().map(|value| (*value).to_owned()).collect());
        Class::Setting(Setting::Set { scope, name: name.to_owned(), values })
    };
    for (sql, name, values) in [
        ("set Work_Mem to '4MB'", "work_mem", Some(&["4MB"][..])),
        ("set session a.B = on", "a.b", Some(&["on"])),
        ("set search_path = public, \"My\", 'x y'", "search_path", Some(&["public", "My", "x y"])),
        ("set extra_float_digits = -3", "extra_float_digits", Some(&["-3"])),
        ("set statement_timeout to default", "statement_timeout", None),
        ("set time zone 'UTC'", "timezone", Some(&["UTC"])),
        ("set time zone local", "timezone", None),
        ("set time zone interval '1' hour", "timezone", Some(&["interval '1' hour"])),
        ("set names 'UTF8'", "client_encoding", Some(&["UTF8"])),
        ("set schema 'a'", "search_path", Some(&["a"])),
        ("set role none", "role", Some(&["none"])),
        ("set session authorization default", "session_authorization", None),
        ("set session session authorization joe", "session_authorization", Some(&["joe"])),
        ("set role = joe", "role", Some(&["joe"])),
        ("set xml option content", "xmloption", Some(&["content"])),
    ] {
        assert_eq!(of(sql), set(Scope::Session, name, values), "{sql}");
    }
    assert_eq!(of("set local a.b = 1"), set(Scope::Local, "a.b", Some(&["1"])));
    let show = |name: &str| Class::Setting(Setting::Show(Some(name.to_owned())));
    assert_eq!(of("show server_version"), show("server_version"));
    assert_eq!(of("show transaction isolation level"), show("transaction_isolation"));
    assert_eq!(of("show time zone"), show("timezone"));
    assert_eq!(of("reset all"), Class::Setting(Setting::Reset(None)));
    assert_eq!(of("discard temp"), Class::Discard(Discard::Temporary));
}

#[test]
fn prepared_statements_and_cursors_have_their_parts() {
    let sql = "prepare p (int, numeric(3, 1)) as select $1";
    let Class::Prepared(Prepared::Prepare { name, types, body }) = of(sql) else { panic!() };
    let types: Vec<_> = types.into_iter().map(|span| &sql[span]).collect();
    assert_eq!(
        (name.as_str(), types, &sql[body]),
        ("p", vec!["int", "numeric(3, 1)"], "select $1")
    );
    let sql = "execute P(1, array[2, 3], f(4, 5))";
    let Class::Prepared(Prepared::Execute { name, arguments }) = of(sql) else { panic!() };
    let arguments: Vec<_> = arguments.into_iter().map(|span| &sql[span]).collect();
    assert_eq!((name.as_str(), arguments), ("p", vec!["1", "array[2, 3]", "f(4, 5)"]));
    let all = Class::Prepared(Prepared::Deallocate(None));
    assert_eq!((of("deallocate prepare all"), of("deallocate all")), (all.clone(), all));

    let sql = "declare c no scroll binary cursor with hold for select 1";
    let Class::Cursor(Cursor::Declare { name, binary, scroll, hold, query }) = of(sql) else {
        panic!()
    };
    assert_eq!((name.as_str(), binary, scroll, hold), ("c", true, Some(false), true));
    assert_eq!(&sql[query], "select 1");
    for (sql, count) in [
        ("fetch c", Count::Forward(1)),
        ("fetch next", Count::Forward(1)),
        ("fetch from c", Count::Forward(1)),
        ("fetch -5 in c", Count::Forward(-5)),
        ("fetch backward 2 c", Count::Forward(-2)),
        ("fetch forward c", Count::Forward(1)),
        ("fetch forward all from c", Count::ForwardAll),
        ("fetch all c", Count::ForwardAll),
        ("fetch backward all in c", Count::BackwardAll),
        ("fetch last from c", Count::Absolute(-1)),
        ("fetch relative -2 from c", Count::Relative(-2)),
    ] {
        let Class::Cursor(Cursor::Fetch(movement)) = of(sql) else { panic!("{sql}") };
        assert_eq!(movement.count, count, "{sql}");
    }
    assert_eq!(of("close all"), Class::Cursor(Cursor::Close(None)));
    assert_eq!(
        of("notify c, 'x'"),
        Class::Notification(Notification::Notify { channel: "c".into(), payload: "x".into() })
    );
    assert_eq!(of("unlisten *"), Class::Notification(Notification::Unlisten(None)));
}

#[test]
fn copies_are_read_in_both_forms() {
    let copy = |sql: &str| match of(sql) {
        Class::Copy(copy) => copy,
        other => panic!("{sql} is {other:?}"),
    };
    let option = |name: &str, values: &[&str]| CopyOption {
        name: name.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let sql = "copy a.\"B\" (c, \"D\") from stdin with (format csv, header, delimiter ';', \
               force_null (c), force_quote *) where c > 1";
    let read = copy(sql);
    assert_eq!(
        (read.direction, read.end, read.format),
        (Direction::From, CopyEnd::Client, CopyFormat::Csv)
    );
    assert_eq!(
        read.options,
        [
            option("header", &[]),
            option("delimiter", &[";"]),
            option("force_null", &["c"]),
            option("force_quote", &["*"]),
        ]
    );
    assert_eq!(&sql[read.condition.unwrap()], "c > 1");
    let CopyWhat::Table { name, columns } = read.what else { panic!() };
    assert_eq!((&sql[name], columns), ("a.\"B\"", vec!["c".to_owned(), "D".to_owned()]));

    let old =
        copy("copy t to '/f' using delimiters ',' with csv null as '' header force quote a, b");
    assert_eq!(
        (old.direction, old.end, old.format),
        (Direction::To, CopyEnd::File, CopyFormat::Csv)
    );
    assert_eq!(
        old.options,
        [
            option("delimiter", &[","]),
            option("null", &[""]),
            option("header", &[]),
            option("force_quote", &["a", "b"]),
        ]
    );
    assert_eq!(copy("copy binary t from program 'x'").end, CopyEnd::Program);
    let sql = "copy (select 1) to stdout (format 'binary')";
    assert_eq!(copy(sql).format, CopyFormat::Binary);
    assert_eq!(copy(sql).what, CopyWhat::Query(6..14));
}

#[test]
fn command_tags_are_those_of_postgresql() {
    for (sql, expected) in [
        ("select 1", "SELECT 3"),
        ("with a as (select 1) insert into t table a", "INSERT 0 3"),
        ("merge into t using u on true when matched then delete", "MERGE 3"),
        ("create temp table a as select 1", "SELECT 3"),
        ("create table a (b, c) as values (1, 2) with no data", "CREATE TABLE AS"),
        ("create materialized view a as table b", "SELECT 3"),
        ("create table a (b int generated always as (c) stored)", "CREATE TABLE"),
        ("create unique index concurrently a on b (c)", "CREATE INDEX"),
        ("create or replace recursive view a as select 1", "CREATE VIEW"),
        ("create user a", "CREATE ROLE"),
        ("create user mapping for a server b", "CREATE USER MAPPING"),
        ("create text search parser a (start = b)", "CREATE TEXT SEARCH PARSER"),
        ("alter default privileges grant select on tables to a", "ALTER DEFAULT PRIVILEGES"),
        ("drop owned by a", "DROP OWNED"),
        ("grant select on t to a", "GRANT"),
        ("grant a to b", "GRANT ROLE"),
        ("revoke a from b", "REVOKE ROLE"),
        ("truncate t", "TRUNCATE TABLE"),
        ("lock t", "LOCK TABLE"),
        ("set constraints all deferred", "SET CONSTRAINTS"),
        ("rollback to a", "ROLLBACK"),
        ("close c", "CLOSE CURSOR"),
        ("start transaction", "START TRANSACTION"),
    ] {
        assert_eq!(tag(sql), expected, "{sql}");
    }
    assert_eq!(of("execute p").command_tag(0), None);
}

#[test]
fn some_statements_stand_alone() {
    let alone = |sql: &str| match of(sql) {
        Class::Utility(utility) => utility.alone,
        other => panic!("{sql} is {other:?}"),
    };
    for sql in [
        "vacuum (full) t",
        "create database a",
        "drop index concurrently a",
        "reindex table concurrently t",
        "reindex (verbose, concurrently) table t",
        "reindex schema s",
        "cluster verbose",
        "alter database a set tablespace b",
        "alter system set a = 1",
        "alter table t detach partition u concurrently",
    ] {
        assert!(alone(sql), "{sql}");
    }
    for sql in [
        "analyze",
        "reindex table t",
        "cluster t",
        "create index a on b (c)",
        "alter table t add a int",
    ] {
        assert!(!alone(sql), "{sql}");
    }
}
