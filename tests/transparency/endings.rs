//! How sessions end.

use crate::stage::Stage;
use crate::support::message::{query, terminate};

#[test]
fn terminate_closes_without_a_word() {
    Stage::get().same_everywhere(|scene| {
        scene.query("select 1");
        scene.say(&terminate());
        scene.end();
    });
}

#[test]
fn terminate_behind_a_query_still_gets_the_querys_answer() {
    Stage::get().same_everywhere(|scene| {
        scene.say(&[query("select 'answered', repeat('x', 3000000)"), terminate()].concat());
        scene.hear(b'Z');
        scene.end();
    });
}

#[test]
fn an_application_that_closes_its_side_still_gets_its_answers() {
    Stage::get().same_everywhere(|scene| {
        scene.say(&query("select repeat('x', 3000000)"));
        scene.close_write();
        scene.hear(b'Z');
        scene.end();
    });
}

#[test]
fn a_session_that_the_database_ends_hears_its_reason_and_nothing_else() {
    Stage::get().same_everywhere(|scene| {
        scene.say(&query("select pg_terminate_backend(pg_backend_pid())"));
        scene.hear(b'E');
        scene.end();
        scene.open(&[("idle_session_timeout", "50ms")]);
        scene.hear(b'E');
        scene.end();
        scene.open(&[("idle_in_transaction_session_timeout", "50ms")]);
        scene.query("begin");
        scene.hear(b'E');
        scene.end();
    });
}
