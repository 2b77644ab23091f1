//! Answers that get lost, databases that sleep, statements that take too long.

use std::{thread, time::Duration};

use pgferry_simulators::{Abandoned, Fault};
use serde_json::{Value, json};

use crate::client::{Ferry, POSTGRES};

const EXECUTE: &str = "rds-data:ExecuteStatement";

fn count(ferry: &Ferry, table: &str) -> Value {
    ferry.records(&format!("SELECT count(*) FROM {table}"))[0][0]["longValue"].clone()
}

#[test]
fn an_answer_is_lost_before_the_statement_or_after_it() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE lost (i int)").ok();
    let insert = json!({"sql": "INSERT INTO lost VALUES (1)"});
    ferry.aws.inject(EXECUTE, Fault::Drop, 1);
    assert!(ferry.try_call("/Execute", insert.clone()).is_none());
    assert_eq!(count(&ferry, "lost"), json!(0));
    ferry.aws.inject(EXECUTE, Fault::LostAnswer, 1);
    assert!(ferry.try_call("/Execute", insert.clone()).is_none());
    assert_eq!(count(&ferry, "lost"), json!(1));
    ferry.aws.inject(EXECUTE, Fault::InternalAfter, 1);
    let reply = ferry.call("/Execute", insert);
    assert_eq!((reply.error().0, reply.error().1), (500, "InternalServerErrorException"));
    assert_eq!(count(&ferry, "lost"), json!(2));
    // Who looks into the journal of the service learns that it was run.
    let api = ferry.aws.data_api();
    let inserts = |call: &&pgferry_simulators::DataApiCall| {
        call.sql.as_deref() == Some("INSERT INTO lost VALUES (1)") && call.error.is_none()
    };
    assert_eq!(api.calls().iter().filter(inserts).count(), 2);
}

#[test]
fn a_commit_whose_answer_is_lost_has_happened() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE lost_commit (i int)").ok();
    let id = ferry.begin();
    ferry.execute_in(&id, "INSERT INTO lost_commit VALUES (1)").ok();
    ferry.aws.inject("rds-data:CommitTransaction", Fault::LostAnswer, 1);
    assert!(ferry.try_end("/CommitTransaction", &id).is_none());
    assert_eq!(count(&ferry, "lost_commit"), json!(1));
    assert_eq!(ferry.end("/CommitTransaction", &id).error().0, 404);
}

#[test]
fn a_body_may_come_in_two_halves() {
    let ferry = Ferry::start();
    ferry.aws.inject(EXECUTE, Fault::SlowBody, 1);
    thread::scope(|scope| {
        let slow = scope.spawn(|| ferry.execute("SELECT 'a body in two halves'"));
        assert!(ferry.aws.wait_for_calls(EXECUTE, 1, Duration::from_secs(20)));
        // Another call is served meanwhile.
        ferry.records("SELECT 1");
        assert!(!slow.is_finished());
        ferry.aws.release();
        let whole = slow.join().unwrap().ok();
        assert_eq!(whole["records"], json!([[{"stringValue": "a body in two halves"}]]));
    });
}

#[test]
fn a_paused_cluster_resumes_after_some_calls() {
    let ferry = Ferry::start();
    ferry.aws.data_api().pause(2);
    for _ in 0..2 {
        let reply = ferry.execute("SELECT 1");
        assert_eq!((reply.error().0, reply.error().1), (400, "DatabaseResumingException"));
    }
    ferry.execute("SELECT 1").ok();
}

#[test]
fn a_statement_that_takes_too_long_is_cancelled() {
    let ferry = Ferry::start();
    let reply = thread::scope(|scope| {
        let slow = scope.spawn(|| ferry.execute("SELECT 'too long alone', pg_sleep(3600)"));
        wait_for_statement("too long alone");
        ferry.aws.clock().advance(Duration::from_secs(45));
        slow.join().unwrap()
    });
    assert_eq!((reply.error().0, reply.error().1), (400, "StatementTimeoutException"));
    assert!(reply.body["dbConnectionId"].as_i64().unwrap() > 0);
    assert_eq!(running("too long alone"), "0");
}

#[test]
fn a_statement_that_takes_too_long_aborts_its_transaction() {
    let ferry = Ferry::start();
    let id = ferry.begin();
    let reply = thread::scope(|scope| {
        let slow =
            scope.spawn(|| ferry.execute_in(&id, "SELECT 'too long within', pg_sleep(3600)"));
        wait_for_statement("too long within");
        ferry.aws.clock().advance(Duration::from_secs(45));
        slow.join().unwrap()
    });
    assert_eq!(reply.error().1, "StatementTimeoutException");
    assert!(ferry.execute_in(&id, "SELECT 1").error().2.ends_with("; SQLState: 25P02"));
    ferry.end("/RollbackTransaction", &id).ok();
}

#[test]
fn a_statement_may_go_on_after_its_time() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE going_on (i int)").ok();
    let id = ferry.begin();
    ferry.execute_in(&id, "LOCK TABLE going_on").ok();
    let reply = thread::scope(|scope| {
        let sql = "INSERT INTO going_on VALUES (1) -- goes on";
        let request = json!({"sql": sql, "continueAfterTimeout": true});
        let slow = scope.spawn(|| ferry.call("/Execute", request));
        wait_for_statement("goes on");
        ferry.aws.clock().advance(Duration::from_secs(45));
        slow.join().unwrap()
    });
    assert_eq!(reply.error().1, "StatementTimeoutException");
    assert_eq!(running("goes on"), "1");
    ferry.end("/RollbackTransaction", &id).ok();
    wait_until("SELECT FROM going_on");
}

#[test]
fn a_client_that_goes_away_does_not_stop_its_statement() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE abandoned (i int)").ok();
    let id = ferry.begin();
    ferry.execute_in(&id, "LOCK TABLE abandoned").ok();
    let caller = ferry.abandon("/Execute", json!({"sql": "INSERT INTO abandoned VALUES (1)"}));
    wait_for_statement("INSERT INTO abandoned");
    drop(caller);
    ferry.end("/RollbackTransaction", &id).ok();
    wait_until("SELECT FROM abandoned");
}

#[test]
fn a_client_that_goes_away_may_stop_its_statement() {
    let ferry = Ferry::start();
    ferry.aws.data_api().suppose(|it| it.abandoned = Abandoned::Cancelled);
    ferry.execute("CREATE TABLE stopped (i int)").ok();
    let id = ferry.begin();
    ferry.execute_in(&id, "LOCK TABLE stopped").ok();
    let caller = ferry.abandon("/Execute", json!({"sql": "INSERT INTO stopped VALUES (1)"}));
    wait_for_statement("INSERT INTO stopped");
    drop(caller);
    wait_until(
        "SELECT WHERE NOT EXISTS (SELECT FROM pg_stat_activity \
         WHERE state = 'active' AND query LIKE 'INSERT INTO stopped%')",
    );
    ferry.end("/RollbackTransaction", &id).ok();
    assert_eq!(count(&ferry, "stopped"), json!(0));
}

#[test]
fn a_transaction_runs_one_statement_at_a_time() {
    let ferry = Ferry::start();
    let id = ferry.begin();
    thread::scope(|scope| {
        let slow = scope.spawn(|| ferry.execute_in(&id, "SELECT 'one at a time', pg_sleep(3600)"));
        wait_for_statement("one at a time");
        for reply in [ferry.execute_in(&id, "SELECT 1"), ferry.end("/CommitTransaction", &id)] {
            let expected = "Transaction is still running a query";
            assert_eq!(reply.error(), (400, "DatabaseErrorException", expected));
        }
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
                      WHERE query LIKE '%one at a time%' AND pid <> pg_backend_pid()";
        POSTGRES.query(cancel).unwrap();
        assert!(slow.join().unwrap().error().2.ends_with("; SQLState: 57014"));
    });
    ferry.end("/RollbackTransaction", &id).ok();
}

/// Returns when a backend runs a statement with these words in it.
fn wait_for_statement(words: &str) {
    let active = "state = 'active' AND pid <> pg_backend_pid()";
    wait_until(&format!(
        "SELECT FROM pg_stat_activity WHERE {active} AND query LIKE '%{words}%' \
         AND query NOT LIKE 'DO %'"
    ));
}

/// Returns when the query has a row.
fn wait_until(query: &str) {
    let sql = format!(
        "DO $$ BEGIN WHILE NOT EXISTS ({query}) LOOP \
         PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01); END LOOP; END $$"
    );
    POSTGRES.query(&sql).unwrap();
}

/// How many backends run a statement with these words in it.
fn running(words: &str) -> String {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' \
         AND pid <> pg_backend_pid() AND query LIKE '%{words}%'"
    );
    POSTGRES.query(&sql).unwrap()
}
