//! Much data, in one piece and in many.

use crate::stage::Stage;
use crate::support::message::{bind, close, describe, execute, parse, query, sync};

#[test]
fn a_row_of_20_mb_arrives_whole() {
    Stage::get().same_everywhere(|scene| {
        scene.query("select repeat('0123456789', 2000000) as big, 'behind'");
        scene.query("select 'small'");
    });
}

#[test]
fn two_hundred_thousand_rows_arrive_whole() {
    Stage::get().same_everywhere(|scene| {
        scene.query("select i, repeat(chr(97 + i % 26), 100) from generate_series(1, 200000) i");
    });
}

#[test]
fn a_parameter_of_5_mb_goes_and_comes_back() {
    Stage::get().same_everywhere(|scene| {
        let value = "wörd ".repeat(1_000_000);
        scene.say(&[parse("", "select md5($1::text), $1"), bind("", "", &[Some(&value)])].concat());
        scene.say(&[execute("", 0), sync()].concat());
        scene.hear(b'Z');
    });
}

#[test]
fn statements_larger_than_the_buffers_and_very_long_names_are_taken() {
    Stage::get().same_everywhere(|scene| {
        let sql = format!("select /* {} */ 'long'", "comment ".repeat(200_000));
        scene.query(&sql);
        // Describe and Execute may not have more than 10,000 bytes.
        let name = "n".repeat(9_900);
        scene.say(&[parse(&name, &sql), describe(b'S', &name), bind(&name, &name, &[])].concat());
        scene.say(&[execute(&name, 0), close(b'P', &name), close(b'S', &name), sync()].concat());
        scene.hear(b'Z');
        scene.say(&[describe(b'S', &name), sync()].concat());
        scene.hear(b'Z');
    });
}

#[test]
fn an_error_message_of_a_megabyte_arrives_whole() {
    Stage::get().same_everywhere(|scene| {
        scene.query("do $$ begin raise exception '%', repeat('e', 1000000); end $$");
        scene.query("select 'usable'");
    });
}

#[test]
fn answers_that_nobody_reads_yet_wait_and_arrive_in_order() {
    Stage::get().same_everywhere(|scene| {
        // All of them are asked for before the first one is read.
        for number in 0..20 {
            scene.say(&query(&format!("select {number}, repeat('w', 500000)")));
        }
        for _ in 0..20 {
            scene.hear(b'Z');
        }
    });
}
