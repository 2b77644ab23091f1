//! Transactions, and sessions between calls.

use std::{collections::HashSet, time::Duration};

use pgferry_simulators::AbortedCommit;
use serde_json::json;

use crate::client::{Ferry, POSTGRES};

/// Returns when a backend runs a statement with these words in it.
fn wait_for_statement(words: &str) {
    let sql = format!(
        "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' \
         AND pid <> pg_backend_pid() AND query LIKE '%{words}%') LOOP \
         PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01); END LOOP; END $$"
    );
    POSTGRES.query(&sql).unwrap();
}

#[test]
fn a_transaction_keeps_its_session_until_it_is_committed() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE committed (i int)").ok();
    let id = ferry.begin();
    ferry.execute_in(&id, "INSERT INTO committed VALUES (1)").ok();
    let pid = |sql| ferry.execute_in(&id, sql).ok()["records"].clone();
    assert_eq!(pid("SELECT pg_backend_pid()"), pid("SELECT pg_backend_pid()"));
    assert_eq!(ferry.records("SELECT count(*) FROM committed"), json!([[{"longValue": 0}]]));
    let ended = ferry.end("/CommitTransaction", &id).ok();
    assert_eq!(ended, json!({"transactionStatus": "Transaction Committed"}));
    assert_eq!(ferry.records("SELECT count(*) FROM committed"), json!([[{"longValue": 1}]]));
    let reply = ferry.execute_in(&id, "SELECT 1");
    assert_eq!((reply.error().0, reply.error().1), (404, "TransactionNotFoundException"));
    assert!(reply.error().2.ends_with("it was ended by a previous call."), "{reply:?}");
}

#[test]
fn an_error_aborts_a_transaction_but_does_not_end_it() {
    let ferry = Ferry::start();
    let id = ferry.begin();
    ferry.execute_in(&id, "SAVEPOINT s").ok();
    assert!(ferry.execute_in(&id, "SELECT 1/0").error().2.ends_with("SQLState: 22012"));
    assert!(ferry.execute_in(&id, "SELECT 1").error().2.ends_with("SQLState: 25P02"));
    ferry.execute_in(&id, "ROLLBACK TO SAVEPOINT s").ok();
    ferry.execute_in(&id, "SELECT 1").ok();
    let ended = ferry.end("/RollbackTransaction", &id).ok();
    assert_eq!(ended, json!({"transactionStatus": "Rollback Complete"}));
}

#[test]
fn a_commit_of_an_aborted_transaction_may_claim_success() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE aborted (i int)").ok();
    let aborted = || {
        let id = ferry.begin();
        ferry.execute_in(&id, "INSERT INTO aborted VALUES (1)").ok();
        ferry.execute_in(&id, "SELECT 1/0");
        ferry.end("/CommitTransaction", &id)
    };
    assert_eq!(aborted().ok()["transactionStatus"], json!("Transaction Committed"));
    ferry.aws.data_api().suppose(|it| it.aborted_commit = AbortedCommit::NotFound);
    assert_eq!(aborted().error().1, "TransactionNotFoundException");
    assert_eq!(ferry.records("SELECT count(*) FROM aborted"), json!([[{"longValue": 0}]]));
}

#[test]
fn a_transaction_expires_while_nobody_calls() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE expiring (i int)").ok();
    let id = ferry.begin();
    ferry.execute_in(&id, "LOCK TABLE expiring").ok();
    ferry.aws.clock().advance(Duration::from_secs(170));
    ferry.execute_in(&id, "SELECT 1").ok();
    ferry.aws.clock().advance(Duration::from_secs(170));
    ferry.execute_in(&id, "SELECT 1").ok();
    ferry.aws.clock().advance(Duration::from_mins(3));
    // It waits for the lock to go.
    ferry.execute("SELECT * FROM expiring").ok();
    let reply = ferry.execute_in(&id, "SELECT 1");
    assert!(reply.error().2.ends_with("it has expired."), "{reply:?}");
    assert_eq!(ferry.aws.data_api().open_transactions(), 0);
}

#[test]
fn calls_outside_a_transaction_never_meet_the_last_ones_session() {
    let ferry = Ferry::start();
    let pids: Vec<_> = (0..6)
        .map(|_| ferry.records("SELECT pg_backend_pid()")[0][0]["longValue"].as_i64().unwrap())
        .collect();
    assert!(pids.windows(2).all(|pair| pair[0] != pair[1]), "{pids:?}");
    assert_eq!(pids.iter().collect::<HashSet<_>>().len(), 3);
}

#[test]
fn a_statement_that_takes_too_long_is_cancelled() {
    let ferry = Ferry::start();
    let reply = std::thread::scope(|scope| {
        let slow = scope.spawn(|| ferry.execute("SELECT 'too long', pg_sleep(3600)"));
        wait_for_statement("too long");
        ferry.aws.clock().advance(Duration::from_secs(45));
        slow.join().unwrap()
    });
    assert_eq!((reply.error().0, reply.error().1), (400, "StatementTimeoutException"));
    assert!(reply.body["dbConnectionId"].as_i64().unwrap() > 0);
}
