//! Sessions between calls, and what is left in them.

use std::collections::HashSet;

use pgferry_simulators::Leftovers;
use serde_json::json;

use crate::client::Ferry;

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
fn what_is_left_in_a_session_meets_somebody_later() {
    let ferry = Ferry::start();
    ferry.execute("SET search_path TO leaked").ok();
    let path = || ferry.records("SHOW search_path")[0][0]["stringValue"].clone();
    assert_eq!([path(), path(), path()], ["\"$user\", public", "\"$user\", public", "leaked"]);
}

#[test]
fn a_session_may_be_nobody_elses_before() {
    let ferry = Ferry::start();
    ferry.aws.data_api().suppose(|it| it.leftovers = Leftovers::Discarded);
    ferry.execute("SET search_path TO leaked").ok();
    for _ in 0..4 {
        assert_eq!(ferry.records("SHOW search_path")[0][0]["stringValue"], "\"$user\", public");
    }
    assert_eq!(ferry.aws.data_api().leaks(), []);
}

#[test]
fn leaks_are_told_by_kind() {
    let ferry = Ferry::start();
    let api = ferry.aws.data_api();
    ferry.records("SELECT 1");
    assert_eq!(api.leaks(), []);
    for (sql, kind, name) in [
        ("PREPARE leaked AS SELECT 1", "prepared statement", "leaked"),
        ("SELECT pg_advisory_lock(7)::text", "advisory lock", "0 7 ExclusiveLock"),
        ("CREATE TEMP TABLE leaked (i int)", "temporary table", "leaked"),
        ("SET work_mem TO '1MB'", "setting", "work_mem"),
        ("LISTEN leaked", "channel", "leaked"),
    ] {
        let before = api.leaks();
        ferry.execute(sql).ok();
        let after = api.leaks();
        let new: Vec<_> = after.iter().filter(|leak| !before.contains(leak)).collect();
        let told: Vec<_> = new.iter().map(|leak| (&*leak.kind, &*leak.name)).collect();
        assert_eq!(told, [(kind, name)]);
    }
}

#[test]
fn a_rollback_leaves_prepared_statements_and_session_locks() {
    let ferry = Ferry::start();
    let id = ferry.begin();
    ferry.execute_in(&id, "PREPARE survivor AS SELECT 1").ok();
    ferry.execute_in(&id, "SELECT pg_advisory_lock(8)::text").ok();
    ferry.execute_in(&id, "SET LOCAL work_mem TO '1MB'").ok();
    ferry.execute_in(&id, "CREATE TEMP TABLE gone (i int)").ok();
    // It is still somebody's.
    assert_eq!(ferry.aws.data_api().leaks(), []);
    ferry.end("/RollbackTransaction", &id).ok();
    let leaks = ferry.aws.data_api().leaks();
    let kinds: Vec<_> = leaks.iter().map(|leak| &*leak.kind).collect();
    assert_eq!(kinds, ["prepared statement", "advisory lock"]);
}

#[test]
fn the_zone_of_a_session_is_utc() {
    let ferry = Ferry::start();
    assert_eq!(ferry.records("SHOW TimeZone"), json!([[{"stringValue": "UTC"}]]));
}
