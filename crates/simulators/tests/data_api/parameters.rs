//! What goes in.

use pgferry_simulators::{EscapeStrings, NullType};
use serde_json::{Value, json};

use crate::client::{Ferry, Reply};

fn with(ferry: &Ferry, sql: &str, parameters: &Value) -> Reply {
    ferry.call("/Execute", json!({"sql": sql, "parameters": parameters}))
}

#[test]
fn each_member_of_a_field_has_one_type() {
    let ferry = Ferry::start();
    let parameters = json!([
        {"name": "s", "value": {"stringValue": "x"}},
        {"name": "l", "value": {"longValue": 9_007_199_254_740_993_i64}},
        {"name": "d", "value": {"doubleValue": 0.5}},
        {"name": "b", "value": {"booleanValue": true}},
        {"name": "y", "value": {"blobValue": "AAE="}},
        {"name": "n", "value": {"isNull": true}},
    ]);
    let sql = "SELECT concat_ws(',', pg_typeof(:s), pg_typeof(:l), pg_typeof(:d), pg_typeof(:b), \
               pg_typeof(:y), pg_typeof(:n)), :l, :y, :n";
    let expected = json!([[
        {"stringValue": "text,bigint,double precision,boolean,bytea,text"},
        {"longValue": 9_007_199_254_740_993_i64},
        {"blobValue": "AAE="},
        {"isNull": true},
    ]]);
    assert_eq!(with(&ferry, sql, &parameters).ok()["records"], expected);
}

#[test]
fn a_string_is_text_and_nothing_else() {
    let ferry = Ferry::start();
    let one = json!([{"name": "p", "value": {"stringValue": "1"}}]);
    let reply = with(&ferry, "SELECT 1 WHERE 1 = :p", &one);
    let (status, code, message) = reply.error();
    assert_eq!((status, code), (400, "DatabaseErrorException"));
    assert!(
        message.starts_with("ERROR: operator does not exist: integer = text; Hint: "),
        "{message}"
    );
    assert!(message.ends_with("; Position: 18; SQLState: 42883"), "{message}");
    let records = with(&ferry, "SELECT 1 WHERE 1 = CAST(:p AS int)", &one).ok();
    assert_eq!(records["records"], json!([[{"longValue": 1}]]));
}

#[test]
fn hints_give_types_and_demand_formats() {
    let ferry = Ferry::start();
    let hinted =
        |hint, text| json!([{"name": "p", "typeHint": hint, "value": {"stringValue": text}}]);
    for (hint, text, expected) in [
        ("DATE", "2024-02-29", "date 2024-02-29"),
        ("TIME", "03:04:05.5", "time without time zone 03:04:05.5"),
        (
            "TIMESTAMP",
            "1999-12-31 23:59:59.123",
            "timestamp without time zone 1999-12-31 23:59:59.123",
        ),
        ("DECIMAL", "-12345.6700", "numeric -12345.6700"),
        ("JSON", "{\"a\": 1}", "jsonb {\"a\": 1}"),
        (
            "UUID",
            "11111111-2222-3333-4444-555555555555",
            "uuid 11111111-2222-3333-4444-555555555555",
        ),
    ] {
        let sql = "SELECT concat(pg_typeof(x), ' ', x) FROM (SELECT :p AS x) AS it";
        let answer = with(&ferry, sql, &hinted(hint, text)).ok();
        assert_eq!(answer["records"], json!([[{"stringValue": expected}]]));
    }
    let iso = with(&ferry, "SELECT :p", &hinted("TIMESTAMP", "2024-01-02T03:04:05Z"));
    let expected = "Cannot parse date or time \"2024-01-02T03:04:05Z\"";
    assert_eq!(iso.error(), (400, "BadRequestException", expected));
    let reply = with(&ferry, "SELECT :p", &hinted("XML", "<a/>"));
    assert_eq!(reply.error().1, "ValidationException");
}

#[test]
fn arrays_cannot_be_bound() {
    let ferry = Ferry::start();
    let array = json!([{"name": "p", "value": {"arrayValue": {"longValues": [1]}}}]);
    let reply = with(&ferry, "SELECT :p", &array);
    assert_eq!(reply.error().1, "ValidationException");
    let two = json!([{"name": "p", "value": {"longValue": 1, "stringValue": "1"}}]);
    assert_eq!(with(&ferry, "SELECT :p", &two).error().1, "ValidationException");
}

#[test]
fn a_name_used_twice_is_two_parameters() {
    let ferry = Ferry::start();
    let unit = json!([{"name": "u", "value": {"stringValue": "day"}}]);
    let sql = "SELECT date_trunc(:u, t) FROM (SELECT now() AS t) AS it GROUP BY date_trunc(:u, t)";
    assert!(with(&ferry, sql, &unit).error().2.ends_with("; SQLState: 42803"));
}

#[test]
fn dollar_numbers_are_not_bound() {
    let ferry = Ferry::start();
    let one = json!([{"name": "1", "value": {"longValue": 1}}]);
    let reply = with(&ferry, "SELECT $1::int", &one);
    let (_, code, message) = reply.error();
    assert_eq!(code, "DatabaseErrorException");
    assert!(message.contains("bind message supplies 0 parameters"), "{message}");
    assert!(message.ends_with("; SQLState: 08P01"), "{message}");
    assert_eq!(with(&ferry, "SELECT :1", &one).ok()["records"], json!([[{"longValue": 1}]]));
}

#[test]
fn dollar_quotes_and_slices_are_spoilt() {
    let ferry = Ferry::start();
    assert_eq!(ferry.records("SELECT $$a :b c$$"), json!([[{"stringValue": "a $1 c"}]]));
    let reply = ferry.execute("SELECT (ARRAY[1,2,3])[1:2]");
    let expected = "ERROR: syntax error at or near \"$1\"; Position: 24; SQLState: 42601";
    assert_eq!(reply.error(), (400, "DatabaseErrorException", expected));
}

#[test]
fn a_null_may_have_the_type_of_its_hint() {
    let ferry = Ferry::start();
    let null = json!([{"name": "p", "typeHint": "DATE", "value": {"isNull": true}}]);
    let kind = || with(&ferry, "SELECT pg_typeof(:p)::text", &null).ok()["records"].clone();
    assert_eq!(kind(), json!([[{"stringValue": "text"}]]));
    ferry.aws.data_api().suppose(|it| it.null_type = NullType::Hinted);
    assert_eq!(kind(), json!([[{"stringValue": "date"}]]));
}

#[test]
fn backslashes_in_strings_may_be_unknown() {
    let ferry = Ferry::start();
    let sql = r"SELECT E'\':a', 'b'";
    assert_eq!(ferry.records(sql), json!([[{"stringValue": "'$1"}, {"stringValue": "b"}]]));
    ferry.aws.data_api().suppose(|it| it.escape_strings = EscapeStrings::Known);
    assert_eq!(ferry.records(sql), json!([[{"stringValue": "':a"}, {"stringValue": "b"}]]));
}
