//! Prepared statements, parameters and the binary forms of values.

use std::time::SystemTime;

use tokio_postgres::types::Type;

use crate::world::{World, direct};

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_columns_have_the_databases_own_types() {
    let (world, direct) = (World::new(), direct().await);
    let client = world.connect().await;
    for query in [
        "SELECT $1::int4 + 1, $2 || 'x', $3::interval",
        "SELECT relname, relkind, relnatts, relacl FROM pg_class WHERE oid = $1 AND relname = $2",
        "SELECT ARRAY[$1::uuid], NOW(), 1.5::numeric, $2::int4range",
        "VALUES ($1::bool, $2::\"char\")",
    ] {
        let expected = direct.prepare(query).await.unwrap();
        let found = client.prepare(query).await;
        let found = found.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        assert_eq!(found.params(), expected.params(), "{query}");
        let columns = |statement: &tokio_postgres::Statement| -> Vec<(String, Type)> {
            let columns = statement.columns().iter();
            columns.map(|column| (column.name().to_owned(), column.type_().clone())).collect()
        };
        assert_eq!(columns(&found), columns(&expected), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_both_ways_in_binary() {
    let world = World::new();
    let client = world.connect().await;
    let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_700_000_000_123_456);
    let row = client
        .query_one(
            "SELECT $1::int8, $2::text, $3::bytea, $4::timestamptz, $5::float8[], $6::int4, $7::bool",
            &[
                &i64::MAX,
                &"it's :x $1",
                &&b"\0\xff"[..],
                &now,
                &vec![Some(0.5), None, Some(f64::NEG_INFINITY)],
                &None::<i32>,
                &true,
            ],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), i64::MAX);
    assert_eq!(row.get::<_, &str>(1), "it's :x $1");
    assert_eq!(row.get::<_, &[u8]>(2), b"\0\xff");
    assert_eq!(row.get::<_, SystemTime>(3), now);
    assert_eq!(row.get::<_, Vec<Option<f64>>>(4), [Some(0.5), None, Some(f64::NEG_INFINITY)]);
    assert_eq!(row.get::<_, Option<i32>>(5), None);
    assert!(row.get::<_, bool>(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_returns_rows_is_described_without_being_made() {
    let direct = direct().await;
    let sql = "DROP TABLE IF EXISTS da_returning; CREATE TABLE da_returning (id serial PRIMARY KEY, name text NOT NULL)";
    direct.batch_execute(sql).await.unwrap();
    let world = World::new();
    let client = world.connect().await;
    let insert = "INSERT INTO da_returning (name) VALUES ($1) RETURNING id, name";
    let statement = client.prepare(insert).await.unwrap();
    assert_eq!(statement.columns()[0].type_(), &Type::INT4);
    let (row, calls) = world.calls(client.query_one(&statement, &[&"one"])).await;
    assert_eq!(row.unwrap().get::<_, i32>(0), 1);
    assert!(calls.len() <= 5, "{calls:?}");
    let row = client.query_one(&statement, &[&"two"]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, &str>(1)), (2, "two"));
    let changed = client.execute("DELETE FROM da_returning WHERE id > $1", &[&0]).await.unwrap();
    assert_eq!(changed, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_handed_out_as_many_at_a_time_as_are_asked_for() {
    let world = World::new();
    let mut client = world.connect().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT generate_series(1, 5)", &[]).await.unwrap();
    let mut found = Vec::new();
    for _ in 0..3 {
        let rows = transaction.query_portal(&portal, 2).await.unwrap();
        found.push(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>());
    }
    assert_eq!(found, [vec![1, 2], vec![3, 4], vec![5]]);
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_prepared_before_an_error_still_works_after_it() {
    let world = World::new();
    let client = world.connect().await;
    let statement = client.prepare("SELECT 10 / $1::int4").await.unwrap();
    let error = client.query_one(&statement, &[&0]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "22012");
    assert_eq!(client.query_one(&statement, &[&5]).await.unwrap().get::<_, i32>(0), 2);
    let error = client.prepare("SELECT nothing FROM nowhere WHERE id = $1").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42P01");
}
