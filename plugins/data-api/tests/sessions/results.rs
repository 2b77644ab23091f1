//! What statements return, held against the database itself.

use tokio_postgres::SimpleQueryMessage;

use crate::world::{World, direct};

/// Every row of a simple query, as text.
fn texts(messages: &[SimpleQueryMessage]) -> Vec<Vec<Option<String>>> {
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
        }
        _ => None,
    });
    rows.collect()
}

fn names(messages: &[SimpleQueryMessage]) -> Vec<String> {
    messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::RowDescription(columns) => {
                Some(columns.iter().map(|column| column.name().to_owned()).collect())
            }
            _ => None,
        })
        .unwrap_or_default()
}

const QUERIES: &[&str] = &[
    "SELECT 1 AS one, 'text'::text, true, NULL::int4, 1.50::numeric(10,2), 9223372036854775807::int8",
    "SELECT 1e20::float8, 0.1::float4, 'NaN'::float8, '-Infinity'::float4, 1e-7::float8",
    "SELECT '2024-02-29'::date, '12:34:56.5'::time, '2024-02-29 12:34:56.000001'::timestamp",
    "SELECT '2024-02-29 12:34:56+02'::timestamptz, 'infinity'::timestamptz, '0044-03-15 BC'::date",
    "SELECT '1 year 2 days'::interval, '12:00+02'::timetz, '(1,2)'::point, '10.0.0.1'::inet",
    "SELECT 'a'::\"char\", 'pg_class'::regclass, '{{1,2},{3,4}}'::int4[], '[1,5)'::int4range",
    "SELECT '\\x00ff'::bytea, 'a b'::tsvector, '101'::bit(3), '{\"a\": 1}'::jsonb, '[1]'::json",
    "SELECT ROW(1, 'a b', NULL), ARRAY['a b', NULL, 'null', ''], ARRAY[1.5, 'NaN']::numeric[]",
    "SELECT 1 AS a, 2 AS a, '1 day'::interval AS a",
    "SELECT",
    "SELECT FROM generate_series(1, 3)",
    "SELECT '1 day'::interval WHERE false",
    "VALUES (1, '(1,1)'::point), (2, NULL)",
    "SELECT $$a :b 'c'$$, (ARRAY[1,2,3])[2:3], 'it''s', E'it\\'s' -- a comment",
    "WITH x AS (SELECT 1 AS n UNION ALL SELECT 2) SELECT n, n * '1 day'::interval FROM x ORDER BY n DESC",
    "SELECT rolname, rolvaliduntil, rolconnlimit FROM pg_roles WHERE rolname = 'pg_monitor'",
    "SELECT relname, relkind, relacl, relnamespace::regnamespace FROM pg_class WHERE relname = 'pg_type'",
    "SHOW standard_conforming_strings",
    "EXPLAIN SELECT 1",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_result_is_what_the_database_itself_would_print() {
    let (world, direct) = (World::new(), direct().await);
    let client = world.connect().await;
    direct.simple_query("SET TIME ZONE 'UTC'").await.unwrap();
    for query in QUERIES {
        let expected = direct.simple_query(query).await.unwrap();
        let found = client.simple_query(query).await;
        let found = found.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        assert_eq!(texts(&found), texts(&expected), "{query}");
        assert_eq!(names(&found), names(&expected), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_plain_types_takes_one_call() {
    let world = World::new();
    let client = world.connect().await;
    let (rows, calls) = world.calls(client.simple_query("SELECT 1, 'x'::text")).await;
    assert_eq!(texts(&rows.unwrap()), [[Some("1".to_owned()), Some("x".to_owned())]]);
    assert_eq!(calls.len(), 1, "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusual_type_takes_one_call_once_its_shape_is_known() {
    let world = World::new();
    let client = world.connect().await;
    let query = "SELECT '1 day'::interval AS an_unusual_type";
    client.simple_query(query).await.unwrap();
    let (_, calls) = world.calls(client.simple_query(query)).await;
    assert_eq!(calls.len(), 1, "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_postgresqls_own_with_its_position_in_the_applications_text() {
    let (world, direct) = (World::new(), direct().await);
    let client = world.connect().await;
    for query in
        ["SELECT 1, $$é$$, nothing FROM pg_class", "SELEC 1", "SELECT 1/0", "SELECT 'x'::int4"]
    {
        let expected = direct.simple_query(query).await.unwrap_err();
        let found = client.simple_query(query).await.unwrap_err();
        let (expected, found) = (expected.as_db_error().unwrap(), found.as_db_error().unwrap());
        assert_eq!(found.code(), expected.code(), "{query}");
        assert_eq!(found.message(), expected.message(), "{query}");
        assert_eq!(found.position(), expected.position(), "{query}");
    }
}
