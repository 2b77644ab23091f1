//! Startup parameters and simple queries.

use crate::stage::{Scene, Stage};
use crate::support::message::{message, query, terminate};

#[test]
fn a_startup_packet_with_many_parameters_is_taken_as_the_database_takes_it() {
    Stage::get().same_everywhere(|scene| {
        scene.open(&[
            ("application_name", "Bücherei 'quoted' \\ tab\t"),
            ("options", "-c statement_timeout=12345 -c my.own=a\\ b --work-mem=5MB"),
            ("DateStyle", "SQL, DMY"),
            ("IntervalStyle", "iso_8601"),
            ("TimeZone", "Asia/Kathmandu"),
            ("client_encoding", "LATIN1"),
            ("extra_float_digits", "-3"),
            ("_unknown.setting", "kept"),
        ]);
        for name in ["statement_timeout", "my.own", "work_mem", "datestyle", "_unknown.setting"] {
            scene.query(&format!("show {name}"));
        }
        scene.query(
            "select current_setting('application_name'), interval '1 day 2:03', 1/3::float8",
        );
        scene.say(&terminate());
        scene.end();
    });
}

#[test]
fn startup_parameters_at_their_limits_are_taken_as_the_database_takes_them() {
    Stage::get().same_everywhere(|scene| {
        scene.open(&[("application_name", "")]);
        scene.query("show application_name");
        let long = "x".repeat(9_000);
        scene.open(&[("application_name", &long)]);
        scene.query("show application_name");
        scene.open(&[("options", &format!("-c a.b={long}"))]);
        scene.query("show a.b");
        scene.open(&[("replication", "off")]);
        scene.query("select 1");
    });
}

#[test]
fn simple_queries_are_answered_with_the_same_bytes() {
    Stage::get().same_everywhere(|scene| {
        for sql in [
            "select 1 as one, null::text, 'zwölf'::text, '\\x00ff'::bytea, array[1, null]",
            "",
            ";",
            "-- only a comment",
            "select",
            "select from generate_series(1, 3)",
            "select 1; select 'two'; values (3, 'three')",
            "select 1; select 1/0; select 'never reached'",
            "this is no SQL",
            "select 'a' as \"ä long name, with spaces\"",
            "explain (costs off) select 1",
            "set application_name = 'renamed'; set TimeZone = 'UTC'",
            "set local application_name = 'outside a transaction'",
            "prepare p(int) as select $1 + 1; execute p(41); deallocate p",
            "declare c cursor with hold for select generate_series(1, 5)",
            "fetch 2 from c; move 1 in c; fetch all from c; close c",
            "create temp table t (a int); insert into t values (1), (2); update t set a = a + 1",
            "select a + 0 from t order by a; delete from t; truncate t; drop table t",
        ] {
            scene.query(sql);
        }
    });
}

#[test]
fn transactions_show_their_status_in_every_ready_for_query() {
    Stage::get().same_everywhere(|scene| {
        for sql in [
            "begin",
            "select 1",
            "savepoint s",
            "select no_such_column",
            "select 1",
            "rollback to s",
            "select 2",
            "commit",
            "begin; select 1/0",
            "commit",
            "rollback",
            "commit and chain",
        ] {
            scene.query(sql);
        }
    });
}

#[test]
fn notices_of_every_severity_arrive_in_their_place() {
    Stage::get().same_everywhere(|scene| {
        scene.query("set client_min_messages = debug1");
        for severity in ["debug", "log", "info", "notice", "warning"] {
            scene.query(&format!(
                "do $$ begin raise {severity} 'ein %', 'Wort' using hint = 'h', detail = 'd'; end $$"
            ));
        }
        scene.query(
            "do $$ begin for i in 1..500 loop raise notice '% %', i, repeat('x', i); end loop; end $$",
        );
        scene.query(
            "do $$ begin raise exception 'mine' using errcode = 'PF123', table = 't', column = 'c'; \
             end $$",
        );
    });
}

#[test]
fn messages_that_arrive_byte_by_byte_are_understood() {
    Stage::get().same_everywhere(|scene| {
        scene.trickle(&[query("select 'slow'"), query(""), query("select 1/0")].concat());
        for _ in 0..3 {
            scene.hear(b'Z');
        }
    });
}

#[test]
fn a_function_call_is_answered() {
    Stage::get().same_everywhere(|scene| {
        // abs(integer), one binary argument, binary result.
        call(scene, 1397, &[b"\0\x01\0\x01\0\x01\0\0\0\x04\xff\xff\xff\xd6\0\x01"]);
        call(scene, 1, &[b"\0\0\0\0\0\0"]);
    });
}

fn call(scene: &mut Scene<'_>, function: u32, arguments: &[&[u8]]) {
    let body = [&function.to_be_bytes()[..], &arguments.concat()].concat();
    scene.say(&message(b'F', &body));
    scene.hear(b'Z');
}
