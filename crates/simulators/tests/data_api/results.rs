//! What comes back.

use pgferry_simulators::Undecodable;
use serde_json::{Value, json};

use crate::client::Ferry;

#[test]
fn values_come_as_fields_of_their_kind() {
    let ferry = Ferry::start();
    let sql = "SELECT true, 1::int2, -2, 9007199254740993, 1.5::float4, 1e20::float8, \
               1.10::numeric, 'a\"b', NULL::int, '\\x0001'::bytea, \
               '{\"a\": [1]}'::jsonb, '2024-02-29'::date, '03:04:05.5'::time, \
               '2024-01-02 03:04:05.000001'::timestamp, \
               '2024-01-02 03:04:05+02'::timestamptz, \
               '11111111-2222-3333-4444-555555555555'::uuid, '10.0.0.1'::inet, \
               '10.0.0.0/8'::cidr, '::1/64'::inet, ARRAY[1,NULL,3], '{}'::text[], \
               ARRAY['x','y']::text[], 'n'::name, 'NaN'::float8, 'c'::char(3)";
    let expected = json!([[
        {"booleanValue": true},
        {"longValue": 1},
        {"longValue": -2},
        {"longValue": 9_007_199_254_740_993_i64},
        {"doubleValue": 1.5},
        {"doubleValue": 1e20},
        {"stringValue": "1.10"},
        {"stringValue": "a\"b"},
        {"isNull": true},
        {"blobValue": "AAE="},
        {"stringValue": "{\"a\": [1]}"},
        {"stringValue": "2024-02-29"},
        {"stringValue": "03:04:05.500"},
        {"stringValue": "2024-01-02 03:04:05.000001"},
        {"stringValue": "2024-01-02 01:04:05"},
        {"stringValue": "11111111-2222-3333-4444-555555555555"},
        {"stringValue": "10.0.0.1"},
        {"stringValue": "10.0.0.0/8"},
        {"stringValue": "::1/64"},
        {"arrayValue": {"longValues": [1, null, 3]}},
        {"arrayValue": {"stringValues": []}},
        {"arrayValue": {"stringValues": ["x", "y"]}},
        {"stringValue": "n"},
        {"doubleValue": "NaN"},
        {"stringValue": "c  "},
    ]]);
    assert_eq!(ferry.records(sql), expected);
}

#[test]
fn one_unsupported_column_fails_the_whole_call() {
    let ferry = Ferry::start();
    for (value, name) in [
        ("interval '1 day'", "INTERVAL"),
        ("'a'::\"char\"", "\"CHAR\""),
        ("'12:00+02'::timetz", "TIMETZ"),
        ("'pg_class'::regclass", "regclass"),
        ("1::oid", "OID"),
        ("ROW(1, 2)", "RECORD"),
    ] {
        let reply = ferry.execute(&format!("SELECT 1, {value}"));
        let message = format!("The result contains the unsupported data type {name}.");
        assert_eq!(reply.error(), (400, "UnsupportedResultException", &*message));
        // Without a row it is not looked at.
        let none = ferry.execute(&format!("SELECT {value} WHERE false")).ok();
        assert_eq!(none["records"], json!([]));
    }
    ferry.aws.data_api().suppose(|it| it.also_supported.push("OID".to_owned()));
    assert_eq!(ferry.records("SELECT 4000000000::oid")[0][0]["longValue"], json!(-294_967_296));
}

#[test]
fn metadata_speaks_jdbc() {
    let ferry = Ferry::start();
    ferry
        .execute("CREATE TABLE described (id serial PRIMARY KEY, v varchar(7), n numeric(9,2))")
        .ok();
    let sql = "SELECT id, v AS w, n, 1.5 AS e, ARRAY[1] AS a, now() AS t FROM described";
    let request = json!({"sql": sql, "includeResultMetadata": true});
    let answer = ferry.call("/Execute", request).ok();
    assert_eq!(answer["records"], json!([]));
    let columns = answer["columnMetadata"].as_array().unwrap();
    let of = |name: &str| columns.iter().map(|it| it[name].clone()).collect::<Value>();
    assert_eq!(of("label"), json!(["id", "w", "n", "e", "a", "t"]));
    assert_eq!(
        of("typeName"),
        json!(["serial", "varchar", "numeric", "numeric", "_int4", "timestamptz"])
    );
    assert_eq!(of("type"), json!([4, 12, 2, 2, 2003, 93]));
    assert_eq!(of("precision"), json!([10, 7, 9, 0, 2_147_483_647, 35]));
    assert_eq!(of("scale"), json!([0, 0, 2, 0, 0, 6]));
    assert_eq!(of("nullable"), json!([0, 1, 1, 2, 2, 2]));
    assert_eq!(of("tableName"), json!(["described", "described", "described", "", "", ""]));
    assert_eq!(columns[0]["isAutoIncrement"], json!(true));
    assert_eq!(columns[0]["schemaName"], json!(""));
}

#[test]
fn a_statement_without_rows_tells_how_many_it_changed() {
    let ferry = Ferry::start();
    let made = ferry.execute("CREATE TABLE counted (i int)").ok();
    assert_eq!(made, json!({"numberOfRecordsUpdated": 0}));
    let request = json!({
        "sql": "INSERT INTO counted VALUES (1), (2)", "includeResultMetadata": true,
    });
    assert_eq!(ferry.call("/Execute", request).ok(), json!({"numberOfRecordsUpdated": 2}));
    let returned = ferry.execute("UPDATE counted SET i = i + 1 RETURNING i").ok();
    assert_eq!(
        returned,
        json!({
            "numberOfRecordsUpdated": 0, "records": [[{"longValue": 2}], [{"longValue": 3}]],
        })
    );
}

#[test]
fn infinities_and_arrays_of_arrays_are_too_much_for_it() {
    let ferry = Ferry::start();
    for value in ["'infinity'::date", "'-infinity'::timestamptz", "'NaN'::numeric"] {
        let reply = ferry.execute(&format!("SELECT {value}"));
        assert_eq!(reply.error(), (500, "InternalFailure", ""));
        assert_eq!(reply.body, json!({}));
    }
    let reply = ferry.execute("SELECT ARRAY[[1,2],[3,4]]");
    let expected = "The result contains a multidimensional array.";
    assert_eq!(reply.error(), (400, "UnsupportedResultException", expected));
}

#[test]
fn numbers_come_as_they_are_asked_for() {
    let ferry = Ferry::start();
    let options = json!({"longReturnType": "STRING", "decimalReturnType": "DOUBLE_OR_LONG"});
    let sql = "SELECT 9007199254740993, 1.25::numeric, 7::numeric";
    let answer = ferry.call("/Execute", json!({"sql": sql, "resultSetOptions": options})).ok();
    let expected = json!([[
        {"stringValue": "9007199254740993"}, {"doubleValue": 1.25}, {"longValue": 7},
    ]]);
    assert_eq!(answer["records"], expected);
}

#[test]
fn records_as_json_have_no_metadata_and_lose_names() {
    let ferry = Ferry::start();
    let request = json!({
        "sql": "SELECT 1 AS a, 2 AS a, NULL AS b", "formatRecordsAs": "JSON",
        "includeResultMetadata": true,
    });
    let answer = ferry.call("/Execute", request).ok();
    assert_eq!(answer["formattedRecords"], json!(r#"[{"a":2,"b":null}]"#));
    assert_eq!((answer.get("records"), answer.get("columnMetadata")), (None, None));
}

#[test]
fn a_write_whose_rows_cannot_be_returned_may_stay_or_not() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE unreturnable (i interval)").ok();
    let insert = "INSERT INTO unreturnable VALUES ('1 day') RETURNING i";
    let count = || ferry.records("SELECT count(*) FROM unreturnable")[0][0]["longValue"].clone();
    assert_eq!(ferry.execute(insert).error().1, "UnsupportedResultException");
    assert_eq!(count(), json!(1));
    ferry.aws.data_api().suppose(|it| it.undecodable = Undecodable::RolledBack);
    assert_eq!(ferry.execute(insert).error().1, "UnsupportedResultException");
    assert_eq!(count(), json!(1));
    ferry.execute("INSERT INTO unreturnable VALUES ('1 day')").ok();
    assert_eq!(count(), json!(2));
    let reply = ferry.execute("SELECT pg_terminate_backend(pg_backend_pid())");
    assert!(reply.error().2.ends_with("; SQLState: 57P01"), "{reply:?}");
}

#[test]
fn types_on_the_list_may_turn_out_not_to_be() {
    let ferry = Ferry::start();
    let sql = "SELECT ARRAY['11111111-2222-3333-4444-555555555555'::uuid]";
    ferry.execute(sql).ok();
    ferry.aws.data_api().suppose(|it| it.not_supported.push("UUID[]".to_owned()));
    let expected = "The result contains the unsupported data type UUID[].";
    assert_eq!(ferry.execute(sql).error().2, expected);
}

#[test]
fn an_enum_is_text() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TYPE mood AS ENUM ('glad', 'sad')").ok();
    let request = json!({"sql": "SELECT 'sad'::mood AS m", "includeResultMetadata": true});
    let answer = ferry.call("/Execute", request).ok();
    assert_eq!(answer["records"], json!([[{"stringValue": "sad"}]]));
    assert_eq!(answer["columnMetadata"][0]["typeName"], "mood");
    assert_eq!(answer["columnMetadata"][0]["type"], 12);
}
