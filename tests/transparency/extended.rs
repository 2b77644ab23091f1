//! The extended query protocol, and pipelines.

use crate::stage::Stage;
use crate::support::message::{
    bind, bind_with, close, describe, execute, flush, message, parse, query, sync,
};

#[test]
fn statements_and_portals_named_and_unnamed_are_answered_with_the_same_bytes() {
    Stage::get().same_everywhere(|scene| {
        let sql = "select $1::int + 1 as next, $2::text";
        scene.say(&[parse("", sql), describe(b'S', ""), sync()].concat());
        scene.hear(b'Z');
        let values = [Some("41"), None];
        scene.say(&[bind("", "", &values), describe(b'P', ""), execute("", 0), sync()].concat());
        scene.hear(b'Z');
        scene.say(&[parse("named", sql), bind_with("p", "named", &values, 1)].concat());
        scene.say(&[describe(b'P', "p"), execute("p", 0), close(b'P', "p"), sync()].concat());
        scene.hear(b'Z');
        scene.say(&[close(b'S', "named"), close(b'S', "never there"), sync()].concat());
        scene.hear(b'Z');
        scene.say(&[parse("", ""), bind("", "", &[]), execute("", 0), sync()].concat());
        scene.hear(b'Z');
        scene.say(&[parse("", "set application_name = 'x'"), bind("", "", &[])].concat());
        scene.say(&[describe(b'P', ""), execute("", 0), sync()].concat());
        scene.hear(b'Z');
    });
}

#[test]
fn portals_are_suspended_and_taken_up_again() {
    Stage::get().same_everywhere(|scene| {
        scene.query("begin");
        let open = [parse("", "select generate_series(1, 25)"), bind("p", "", &[])].concat();
        scene.say(&[open, execute("p", 10), sync()].concat());
        scene.hear(b'Z');
        scene.say(&[execute("p", 10), execute("p", 10), execute("p", 10), sync()].concat());
        scene.hear(b'Z');
        scene.query("commit");
        scene.say(&[execute("p", 1), sync()].concat());
        scene.hear(b'Z');
    });
}

#[test]
fn flush_without_sync_brings_the_answers_so_far() {
    Stage::get().same_everywhere(|scene| {
        scene.say(&[parse("", "select $1::text"), describe(b'S', ""), flush()].concat());
        scene.hear(b'T');
        scene.say(&[bind("", "", &[Some("flushed")]), execute("", 0), flush()].concat());
        scene.hear(b'C');
        scene.say(&sync());
        scene.hear(b'Z');
    });
}

#[test]
fn each_kind_of_mistake_is_reported_until_sync() {
    Stage::get().same_everywhere(|scene| {
        for wrong in [
            parse("", "select wrong syntax here from"),
            parse("", "select 1; select 2"),
            bind("", "no such statement", &[]),
            execute("no such portal", 0),
            describe(b'S', "no such statement"),
            describe(b'P', "no such portal"),
            describe(b'?', ""),
            [parse("", "select $1::int"), bind("", "", &[])].concat(),
            [parse("", "select $1::int"), bind("", "", &[Some("no number")])].concat(),
            [parse("", "select 1/$1::int"), bind("", "", &[Some("0")]), execute("", 0)].concat(),
            message(b'B', b"\0\0\0\x07"),
        ] {
            let skipped = [parse("", "select 1"), bind("", "", &[]), execute("", 0)].concat();
            scene.say(&[wrong, skipped, sync()].concat());
            scene.hear(b'Z');
            scene.query("select 'usable'");
        }
    });
}

#[test]
fn a_pipeline_in_one_write_is_answered_in_order() {
    Stage::get().same_everywhere(|scene| {
        let mut pipeline = parse("s", "select $1::int, repeat('y', $1::int)");
        for number in 0..200 {
            let value = number.to_string();
            pipeline.extend([bind("", "s", &[Some(&value)]), execute("", 0), sync()].concat());
        }
        pipeline.extend(query("select 'and a simple one behind'"));
        scene.say(&pipeline);
        for _ in 0..201 {
            scene.hear(b'Z');
        }
    });
}

#[test]
fn an_error_in_a_pipeline_skips_to_its_sync_and_no_further() {
    Stage::get().same_everywhere(|scene| {
        let one = |sql: &str| [parse("", sql), bind("", "", &[]), execute("", 0)].concat();
        let first = [one("select 1"), one("select 1/0"), one("select 'skipped'"), sync()].concat();
        let second = [one("select 2"), sync(), sync(), query("select 3"), one("select 4")].concat();
        scene.say(&[first, second, sync()].concat());
        for _ in 0..5 {
            scene.hear(b'Z');
        }
    });
}

#[test]
fn a_pipeline_larger_than_every_buffer_flows_both_ways_at_once() {
    Stage::get().same_everywhere(|scene| {
        let value = "z".repeat(20_000);
        let mut pipeline = parse("s", "select $1::text");
        for _ in 0..1_000 {
            pipeline.extend([bind("", "s", &[Some(&value)]), execute("", 0), sync()].concat());
        }
        scene.pour(&pipeline, 1_000);
    });
}
