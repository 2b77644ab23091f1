//! What happens to statements when calls, sessions or results get lost.

use std::time::Duration;

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
