//! Transactions of applications, and what becomes of them.

use crate::world::{LIMIT, World, direct};

/// A table of the test's own.
async fn table(name: &str) {
    let direct = direct().await;
    let sql = format!(
        "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id int4 PRIMARY KEY, at interval)"
    );
    direct.batch_execute(&sql).await.unwrap();
}

async fn count(name: &str) -> i64 {
    direct().await.query_one(&format!("SELECT count(*) FROM {name}"), &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_without_statements_takes_no_call() {
    let world = World::new();
    let client = world.connect().await;
    let (done, calls) = world.calls(client.batch_execute("BEGIN; COMMIT")).await;
    done.unwrap();
    assert!(calls.is_empty(), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_committed_is_not_there() {
    table("da_rollback").await;
    let world = World::new();
    let client = world.connect().await;
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("INSERT INTO da_rollback VALUES (1)").await.unwrap();
    client.batch_execute("SAVEPOINT s").await.unwrap();
    client.batch_execute("INSERT INTO da_rollback VALUES (1)").await.unwrap_err();
    let error = client.batch_execute("SELECT 1").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "25P02");
    client.batch_execute("ROLLBACK TO s").await.unwrap();
    client.batch_execute("INSERT INTO da_rollback VALUES (2)").await.unwrap();
    assert_eq!(count("da_rollback").await, 0);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(count("da_rollback").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_of_a_query_are_one_transaction() {
    table("da_several").await;
    let world = World::new();
    let client = world.connect().await;
    let several = "INSERT INTO da_several VALUES (1); INSERT INTO da_several VALUES (1)";
    let error = client.batch_execute(several).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23505");
    assert_eq!(error.as_db_error().unwrap().constraint(), Some("da_several_pkey"));
    assert_eq!(count("da_several").await, 0);
    let several = "INSERT INTO da_several VALUES (1); INSERT INTO da_several VALUES (2)";
    client.batch_execute(several).await.unwrap();
    assert_eq!(count("da_several").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_leaves_leaves_nothing_behind() {
    table("da_leaves").await;
    let world = World::new();
    let client = world.connect().await;
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("INSERT INTO da_leaves VALUES (1)").await.unwrap();
    assert_eq!(world.aws.data_api().open_transactions(), 1);
    drop(client);
    let ended = async {
        while world.aws.data_api().open_transactions() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, ended).await.unwrap();
    assert_eq!(count("da_leaves").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_returns_what_the_service_cannot_write_is_made_once() {
    table("da_once").await;
    let world = World::new();
    let client = world.connect().await;
    for id in 1..=2 {
        let insert = format!("INSERT INTO da_once VALUES ({id}, '1 day') RETURNING id, at");
        client.simple_query(&insert).await.unwrap();
    }
    assert_eq!(count("da_once").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_goes_with_every_statement_and_is_left_with_nobody_else() {
    let world = World::new();
    let (client, other) = (world.connect().await, world.connect().await);
    client.batch_execute("SET search_path TO pg_catalog, \"$user\"").await.unwrap();
    for _ in 0..4 {
        let path = client.query_one("SELECT current_setting('search_path')", &[]).await.unwrap();
        assert_eq!(path.get::<_, &str>(0), "pg_catalog, \"$user\"");
        let path = other.query_one("SELECT current_setting('search_path')", &[]).await.unwrap();
        assert_eq!(path.get::<_, &str>(0), "\"$user\", public");
    }
    client.batch_execute("BEGIN; SET search_path TO information_schema; ROLLBACK").await.unwrap();
    let path = client.query_one("SHOW search_path", &[]).await.unwrap();
    assert_eq!(path.get::<_, &str>(0), "pg_catalog, \"$user\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_shown_in_the_zone_that_the_application_has_set() {
    let world = World::new();
    let client = world.connect().await;
    client.batch_execute("SET TIME ZONE 'Asia/Tokyo'").await.unwrap();
    let query =
        "SELECT '2024-01-01 00:00:00+00'::timestamptz::text, '2024-01-01 00:00:00+00'::timestamptz";
    let messages = client.simple_query(query).await.unwrap();
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.unwrap();
    assert_eq!(row.get(0), Some("2024-01-01 09:00:00+09"));
    assert_eq!(row.get(1), Some("2024-01-01 09:00:00+09"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_stay_on_a_session_that_others_use_is_refused() {
    let world = World::new();
    let client = world.connect().await;
    for statement in ["SELECT pg_advisory_lock(1)", "LISTEN x", "PREPARE p AS SELECT 1"] {
        let (done, calls) = world.calls(client.batch_execute(statement)).await;
        let error = done.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "0A000", "{statement}");
        assert!(error.as_db_error().unwrap().hint().is_some(), "{statement}");
        assert!(calls.is_empty(), "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_cluster_is_waited_for() {
    let world = World::new();
    world.aws.data_api().pause(2);
    let client = world.connect().await;
    client.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_rows_cannot_be_handed_out_is_not_committed() {
    table("da_unread").await;
    let world = World::new();
    let client = world.connect().await;
    let insert =
        "WITH new AS (INSERT INTO da_unread VALUES (1, '1 day') RETURNING at) SELECT at FROM new";
    client.simple_query(insert).await.unwrap_err();
    assert_eq!(count("da_unread").await, 0);
    client.batch_execute("INSERT INTO da_unread VALUES (1)").await.unwrap();
    assert_eq!(count("da_unread").await, 1);
}
