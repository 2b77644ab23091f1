//! One statement, many sets of parameters.

use serde_json::{Value, json};

use crate::client::{Ferry, Reply};

fn insert(ferry: &Ferry, table: &str, numbers: &[&str]) -> Reply {
    let set = |text: &&str| json!([{"name": "t", "value": {"stringValue": text}}]);
    let sets: Vec<Value> = numbers.iter().map(set).collect();
    let sql = format!("INSERT INTO {table} VALUES (CAST(:t AS int))");
    ferry.call("/BatchExecute", json!({"sql": sql, "parameterSets": sets}))
}

#[test]
fn a_batch_tells_neither_counts_nor_keys() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE batched (i int)").ok();
    let none = json!({"generatedFields": []});
    let answer = insert(&ferry, "batched", &["1", "2"]).ok();
    assert_eq!(answer, json!({"updateResults": [none, none]}));
    assert_eq!(ferry.records("SELECT sum(i) FROM batched"), json!([[{"longValue": 3}]]));
    let answer = ferry.call("/BatchExecute", json!({"sql": "DELETE FROM batched"})).ok();
    assert_eq!(answer, json!({"updateResults": [none]}));
    assert_eq!(ferry.records("SELECT sum(i) FROM batched"), json!([[{"isNull": true}]]));
}

#[test]
fn a_batch_within_a_transaction_belongs_to_it() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE batched_within (i int)").ok();
    let id = ferry.begin();
    let sql = "INSERT INTO batched_within VALUES (1)";
    ferry.call("/BatchExecute", json!({"sql": sql, "transactionId": id})).ok();
    ferry.end("/RollbackTransaction", &id).ok();
    assert_eq!(ferry.records("SELECT i FROM batched_within"), json!([]));
}

#[test]
fn what_came_before_the_failure_of_a_batch_stays() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE batched_half (i int)").ok();
    let reply = insert(&ferry, "batched_half", &["1", "x", "3"]);
    assert!(reply.error().2.ends_with("; SQLState: 22P02"), "{reply:?}");
    assert_eq!(ferry.records("SELECT i FROM batched_half"), json!([[{"longValue": 1}]]));
}

#[test]
fn a_batch_returns_no_rows() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE batched_rows (i int)").ok();
    for sql in ["SELECT 1", "INSERT INTO batched_rows VALUES (1) RETURNING i"] {
        let reply = ferry.call("/BatchExecute", json!({"sql": sql}));
        assert_eq!(reply.error().1, "ValidationException");
    }
    assert_eq!(ferry.records("SELECT i FROM batched_rows"), json!([]));
}
