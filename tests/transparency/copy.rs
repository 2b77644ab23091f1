//! COPY in both directions, in both protocols.

use crate::stage::Stage;
use crate::support::message::{
    bind, copy_data, copy_done, copy_fail, execute, flush, parse, query, sync,
};

/// A table for one test: its object id is in the answers, so every run has to see the same one.
fn stage_with(table: &str) -> std::sync::Arc<Stage> {
    let stage = Stage::get();
    stage.prepare(&format!(
        "drop table if exists {table}; create table {table} (a int primary key, b text); \
         grant all on {table} to public"
    ));
    stage
}

fn extended(sql: &str) -> Vec<u8> {
    [parse("", sql), bind("", "", &[]), execute("", 0)].concat()
}

#[test]
fn copy_out_is_the_same() {
    Stage::get().same_everywhere(|scene| {
        let sql = "copy (select i, repeat('x', i % 50) from generate_series(1, 5000) i) to stdout";
        scene.query(sql);
        scene.query(&format!("{sql} (format binary)"));
        scene.say(&[extended(&format!("{sql} (format csv, header)")), sync()].concat());
        scene.hear(b'Z');
        scene.query("copy (select 10 / (5 - i) from generate_series(1, 9) i) to stdout; select 1");
        scene.query("copy (select 1) to stdout; copy (select 2) to stdout; select 3");
    });
}

#[test]
fn copy_in_by_a_simple_query_is_the_same() {
    stage_with("simple_in").same_everywhere(|scene| {
        scene.query("truncate simple_in");
        scene.say(&query("copy simple_in from stdin; select count(*) from simple_in"));
        scene.hear(b'G');
        // Pieces need not end where lines do.
        scene.say(&[copy_data("1\tone\n2\tt"), copy_data("wo\n"), copy_done()].concat());
        scene.hear(b'Z');
        // Sent ahead, without waiting to be asked for it.
        let ahead = [query("copy simple_in from stdin"), copy_data("3\t\\N\n"), copy_done()];
        scene.say(&[ahead.concat(), query("table simple_in")].concat());
        scene.hear(b'Z');
        scene.hear(b'Z');
    });
}

#[test]
fn copy_in_by_an_extended_query_is_the_same_even_if_all_is_sent_ahead() {
    stage_with("extended_in").same_everywhere(|scene| {
        scene.query("truncate extended_in");
        let copy = || extended("copy extended_in from stdin");
        scene.say(&[copy(), flush()].concat());
        scene.hear(b'G');
        scene.say(&[copy_data("1\tone\n"), flush(), copy_data("2\ttwo\n")].concat());
        scene.say(&[copy_done(), sync()].concat());
        scene.hear(b'Z');
        scene
            .say(&[copy(), copy_data("3\tx\n"), copy_data("4\ty\n"), copy_done(), sync()].concat());
        scene.hear(b'Z');
        // A Sync in front of the data is ignored: the database is in copy mode by then.
        scene.say(&[copy(), sync(), copy_data("5\tz\n"), copy_done(), sync()].concat());
        scene.hear(b'Z');
        scene.query("table extended_in");
    });
}

#[test]
fn a_copy_that_the_application_fails_is_the_same() {
    stage_with("failed_in").same_everywhere(|scene| {
        scene.query("truncate failed_in");
        scene.say(&query("copy failed_in from stdin"));
        scene.hear(b'G');
        scene.say(&[copy_data("1\tone\n"), copy_fail("changed my mind")].concat());
        scene.hear(b'Z');
        let copy = extended("copy failed_in from stdin");
        scene.say(&[copy, copy_data("1\tone\n"), copy_fail("again"), sync()].concat());
        scene.hear(b'Z');
        scene.query("table failed_in");
    });
}

#[test]
fn a_copy_that_the_database_fails_is_the_same_before_and_after_its_end() {
    stage_with("broken_in").same_everywhere(|scene| {
        scene.query("truncate broken_in");
        let bad = || [copy_data("1\tone\n"), copy_data("x\ty\n"), copy_data("3\tz\n")].concat();
        scene.say(&[query("copy broken_in from stdin"), bad(), copy_done()].concat());
        scene.hear(b'Z');
        scene.query("select 'usable'");
        let copy = || extended("copy broken_in from stdin");
        scene.say(&[copy(), bad(), copy_done(), sync()].concat());
        scene.hear(b'Z');
        // Only the end of the data shows that a line is not whole.
        scene.say(&[copy(), copy_data("1"), copy_done(), sync()].concat());
        scene.hear(b'Z');
        scene.say(&[copy(), copy_data("1\ta\n1\tb\n"), copy_done(), sync()].concat());
        scene.hear(b'Z');
        scene.query("copy no_such_table from stdin");
        scene.query("table broken_in");
    });
}

#[test]
fn copy_in_of_20_mb_is_the_same() {
    stage_with("large_in").same_everywhere(|scene| {
        scene.query("truncate large_in");
        scene.say(&query("copy large_in from stdin"));
        scene.hear(b'G');
        let text = "c".repeat(1_000);
        for block in 0..100 {
            let numbers = (0..200).map(|line| block * 200 + line);
            let lines: Vec<String> = numbers.map(|number| format!("{number}\t{text}\n")).collect();
            scene.say(&copy_data(&lines.concat()));
        }
        scene.say(&copy_done());
        scene.hear(b'Z');
        scene.query("select count(*), sum(length(b)) from large_in");
    });
}
