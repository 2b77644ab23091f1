//! Texts, bytes and bits, and whatever is printed as one of them.

use crate::server::{Server, agree_on, agree_on_texts};

/// Text of a few characters, most of which mean something to some type.
const TEXT: &str = r#"(SELECT string_agg(substr(E' ,"''\\{}()[]<>:*&|!;=\t\nabNULé𝄞x', 1 + (random() * 32)::int, 1), '')
    FROM generate_series(0, g % 9))"#;

#[tokio::test]
async fn texts_and_bytes_agree_with_the_server() {
    let server = Server::start().await;
    let text = |expression: &str| expression.replace("TEXT", TEXT);
    let expressions = [
        "TEXT",
        "coalesce(TEXT, '')::varchar(5)",
        "left(TEXT, 3)::char(7)",
        "TEXT::name",
        "chr(1 + g % 127)::\"char\"",
        "to_json(TEXT)",
        "to_jsonb(TEXT)",
        "jsonb_build_object(TEXT, g, TEXT, ARRAY[TEXT, NULL])",
        "decode(md5(g::text), 'hex')",
        "substr(decode(md5(g::text), 'hex'), 1, g % 17)",
        "((random() * 2147483647)::int::bit(32)::text || left('1010101', g % 8))::varbit",
        "(random() * 2147483647)::int::bit(13)",
        "gen_random_uuid()",
        "xmlelement(name a, TEXT)",
        "TEXT::refcursor",
    ];
    let expressions = expressions.map(text);
    let expressions: Vec<&str> = expressions.iter().map(String::as_str).collect();
    agree_on(&server, &expressions).await;
    agree_on_texts(&server, TEXTS).await;
}

const TEXTS: &[(&str, &[&str])] = &[
    ("text", &["", "NULL", "\u{1f600}"]),
    ("\"char\"", &["", "a", "\\377", "\\200"]),
    ("bytea", &["", "\\x", "\\x00ff", "a\\\\b\\000"]),
    ("varbit", &["", "1", "10101010", "101010101"]),
    ("bit", &["1", "0"]),
    ("json", &["{\"a\" : [1, null]}", "null"]),
    ("jsonb", &["{\"b\": 1, \"a\": 1.50}", "[]", "\"\\u00e9\""]),
    ("jsonpath", &["$.a[*] ? (@.b > 1)", "lax $", "strict $.\"x y\""]),
    ("xml", &["<a>&amp;</a>", "plain"]),
    ("pg_catalog.cstring", &["as it is"]),
    ("uuid", &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
];

#[tokio::test]
async fn a_boolean_is_read_as_printed_and_as_cast() {
    use bytes::BytesMut;
    use pgferry_values::builtin;
    let server = Server::start().await;
    let printed = server.print("SELECT true").await.remove(0);
    let cast = server.client.query_one("SELECT true::text", &[]).await.expect("a row");
    for text in [printed.text, cast.get(0)] {
        let mut out = BytesMut::new();
        builtin(16).expect("bool").to_binary(&text, &mut out).expect("a boolean");
        assert_eq!(out.as_ref(), printed.binary);
    }
}

#[tokio::test]
async fn what_its_text_does_not_tell_is_refused() {
    use bytes::BytesMut;
    use pgferry_values::{ValueError, builtin};
    let server = Server::start().await;
    let refuse = |oid, text: &str| {
        let mut out = BytesMut::from("kept");
        let refused = builtin(oid).expect("a type").to_binary(text, &mut out);
        assert_eq!(out.as_ref(), b"kept");
        refused.expect_err("a refusal")
    };
    let class = server.print("SELECT 'pg_class'::regclass").await.remove(0);
    assert_eq!(refuse(class.oid, &class.text), ValueError::Lookup { ty: "regclass".to_owned() });
    let row = server.print("SELECT ROW(1, 'a')").await.remove(0);
    assert_eq!(refuse(row.oid, &row.text), ValueError::Undescribed { ty: "record".to_owned() });
    let item = "SELECT 'postgres=r/postgres'::aclitem::text";
    let item: String = server.client.query_one(item, &[]).await.expect("a row").get(0);
    assert_eq!(refuse(1033, &item), ValueError::NoBinary { ty: "aclitem".to_owned() });
}
