//! What happens to statements when calls, sessions or results get lost.

use std::time::Duration;

use pgferry_simulators::Fault;

use crate::world::{LIMIT, World, direct};

#[tokio::test(flavor = "multi_thread")]
async fn a_result_beyond_the_services_limit_comes_in_pages() {
    let world = World::new();
    let client = world.connect().await;
    let query = "SELECT n, repeat('x', 100) FROM generate_series(1, 20000) AS n";
    let rows = client.query(query, &[]).await.unwrap();
    assert_eq!(rows.len(), 20_000);
    assert_eq!(rows[19_999].get::<_, i32>(0), 20_000);
    client.batch_execute("BEGIN").await.unwrap();
    let rows = client.query(query, &[]).await.unwrap();
    assert_eq!(rows.len(), 20_000);
    client.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_result_is_too_large_is_an_error_and_not_repeated() {
    let direct = direct().await;
    direct
        .batch_execute("DROP TABLE IF EXISTS da_large; CREATE TABLE da_large (t text)")
        .await
        .unwrap();
    let world = World::new();
    let client = world.connect().await;
    let insert =
        "INSERT INTO da_large SELECT repeat('x', 1000) FROM generate_series(1, 2000) RETURNING t";
    let error = client.simple_query(insert).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "54000");
    let count: i64 = direct.query_one("SELECT count(*) FROM da_large", &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_ends_the_statement_that_runs() {
    let world = World::new();
    let client = world.connect().await;
    let cancel = client.cancel_token();
    let sleeping = tokio::spawn(async move { client.simple_query("SELECT pg_sleep(60)").await });
    let direct = direct().await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '/* pgferry%pg_sleep(60)%' AND state = 'active'";
    let begun = async {
        while direct.query_one(running, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, begun).await.unwrap();
    cancel.cancel_query_raw(world.socket().await, tokio_postgres::NoTls).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), sleeping).await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().code().unwrap().code(), "57014");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_session_is_left_on_the_services_own() {
    let world = World::new();
    let client = world.connect().await;
    client.batch_execute("SET search_path TO pg_catalog; SET timezone TO 'UTC'").await.unwrap();
    client.query("SELECT $1::int4 + relnatts FROM pg_class LIMIT $2", &[&1, &2_i64]).await.unwrap();
    client.batch_execute("BEGIN; SET work_mem = '8MB'").await.unwrap();
    client.batch_execute("SELECT 1; COMMIT").await.unwrap();
    drop(client);
    let leaks = tokio::task::block_in_place(|| world.aws.data_api().leaks());
    assert!(leaks.is_empty(), "{leaks:?}");
}

/// A table of the test's own.
async fn table(name: &str) {
    let sql = format!("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id int4)");
    direct().await.batch_execute(&sql).await.unwrap();
}

async fn count(name: &str) -> i64 {
    direct().await.query_one(&format!("SELECT count(*) FROM {name}"), &[]).await.unwrap().get(0)
}

/// How often a statement with this text came.
fn sent(world: &World, text: &str) -> usize {
    let calls = world.aws.data_api().calls();
    calls.iter().filter(|call| call.sql.as_ref().is_some_and(|sql| sql.contains(text))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_reported_as_unknown_and_never_repeated() {
    table("da_lost").await;
    let world = World::new();
    let client = world.connect().await;
    for (fault, rows) in [(Fault::LostAnswer, 1), (Fault::InternalAfter, 2), (Fault::Drop, 2)] {
        world.aws.inject("rds-data:ExecuteStatement", fault.clone(), 1);
        let before = sent(&world, "INSERT INTO da_lost");
        let error = client.simple_query("INSERT INTO da_lost VALUES (1)").await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "08006", "{fault:?}");
        assert!(sent(&world, "INSERT INTO da_lost") <= before + 1, "{fault:?}");
        assert_eq!(count("da_lost").await, rows, "{fault:?}");
    }
    client.simple_query("INSERT INTO da_lost VALUES (1)").await.unwrap();
    assert_eq!(count("da_lost").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_reported_as_unknown() {
    table("da_commit").await;
    let world = World::new();
    let client = world.connect().await;
    client.batch_execute("BEGIN; INSERT INTO da_commit VALUES (1)").await.unwrap();
    world.aws.inject("rds-data:CommitTransaction", Fault::LostAnswer, 1);
    let error = client.batch_execute("COMMIT").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "08007");
    assert_eq!(count("da_commit").await, 1);
    client.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_inside_a_transaction_undoes_it() {
    table("da_inside").await;
    let world = World::new();
    let client = world.connect().await;
    client.batch_execute("BEGIN; INSERT INTO da_inside VALUES (1)").await.unwrap();
    world.aws.inject("rds-data:ExecuteStatement", Fault::LostAnswer, 1);
    let error = client.batch_execute("INSERT INTO da_inside VALUES (2)").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "08006");
    let error = client.batch_execute("INSERT INTO da_inside VALUES (3)").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "25P02");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(count("da_inside").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_whose_answer_is_lost_is_asked_for_again() {
    let world = World::new();
    let client = world.connect().await;
    world.aws.inject("rds-data:ExecuteStatement", Fault::LostAnswer, 1);
    client.simple_query("SELECT 1 AS lost").await.unwrap();
    assert_eq!(sent(&world, "SELECT 1 AS lost"), 2);
    world.aws.inject("rds-data:ExecuteStatement", Fault::Throttle, 1);
    client.simple_query("SELECT 1").await.unwrap();
}
