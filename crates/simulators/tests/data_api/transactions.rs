//! Transactions.

use std::time::Duration;

use pgferry_simulators::AbortedCommit;
use serde_json::json;

use crate::client::Ferry;

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
    assert!(ferry.aws.data_api().wait_for_open_transactions(0, Duration::from_secs(20)));
    assert!(!ferry.aws.data_api().wait_for_open_transactions(1, Duration::from_millis(20)));
}

#[test]
fn a_transaction_lives_a_day_at_most() {
    let ferry = Ferry::start();
    let id = ferry.begin();
    // Each call within three minutes of the last.
    for _ in 0..490 {
        ferry.aws.clock().advance(Duration::from_secs(176));
        ferry.execute_in(&id, "SELECT 1").ok();
    }
    ferry.aws.clock().advance(Duration::from_secs(176));
    let reply = ferry.execute_in(&id, "SELECT 1");
    assert!(reply.error().2.ends_with("it has expired."), "{reply:?}");
}

#[test]
fn a_transaction_belongs_to_its_cluster_and_database() {
    let ferry = Ferry::start();
    let id = ferry.begin();
    let request = json!({"sql": "SELECT 1", "transactionId": id, "database": "postgres"});
    let reply = ferry.call("/Execute", request);
    assert_eq!(reply.error().1, "DatabaseErrorException");
    let reply = ferry.execute_in("never begun", "SELECT 1");
    assert_eq!((reply.error().0, reply.error().1), (404, "TransactionNotFoundException"));
    ferry.end("/RollbackTransaction", &id).ok();
}

#[test]
fn sql_does_not_end_a_transaction_of_the_api() {
    let ferry = Ferry::start();
    let id = ferry.begin();
    ferry.execute_in(&id, "COMMIT").ok();
    assert_eq!(ferry.aws.data_api().open_transactions(), 1);
    ferry.end("/RollbackTransaction", &id).ok();
}

#[test]
fn a_lost_session_ends_its_transaction() {
    let ferry = Ferry::start();
    let id = ferry.begin();
    let reply = ferry.execute_in(&id, "SELECT pg_terminate_backend(pg_backend_pid())");
    assert!(reply.error().2.starts_with("FATAL: terminating connection"), "{reply:?}");
    assert!(reply.error().2.ends_with("; SQLState: 57P01"), "{reply:?}");
    let reply = ferry.execute_in(&id, "SELECT 1");
    assert!(reply.error().2.ends_with("aborted by an earlier error."), "{reply:?}");
    ferry.records("SELECT 1");
}

#[test]
fn an_unbound_number_aborts_a_transaction() {
    let ferry = Ferry::start();
    let id = ferry.begin();
    assert!(ferry.execute_in(&id, "SELECT $1::int").error().2.ends_with("SQLState: 08P01"));
    assert!(ferry.execute_in(&id, "SELECT 1").error().2.ends_with("SQLState: 25P02"));
    ferry.end("/RollbackTransaction", &id).ok();
}
