//! Arrays, ranges, and the types of a database's own.

use pgferry_values::{
    builtin,
    catalog::{self, Row},
    record,
};

use crate::server::{Server, agree, agree_on, agree_on_texts};

#[tokio::test]
async fn arrays_agree_with_the_server() {
    let server = Server::start().await;
    agree_on(
        &server,
        &[
            "array_fill(g, ARRAY[1 + g % 3, 1 + g % 2, 1 + g % 4], ARRAY[g - 500, 1, 0])",
            "ARRAY[[g, NULL], [NULL, -g]]",
            "ARRAY(SELECT random() FROM generate_series(1, g % 5))",
            "ARRAY[substr(E' ,\"\\'\\\\{}nullNULL\\tx', 1 + g % 15, g % 6), NULL, '']",
            "ARRAY[now() - g * interval '1 h', 'infinity']",
            "ARRAY[row_to_json(ROW(g, 'x\"y'))]",
            "ARRAY[int4range(g, g + 3), 'empty', int4range(NULL, g)]",
        ],
    )
    .await;
    agree_on_texts(&server, ARRAYS).await;
}

const ARRAYS: &[(&str, &[&str])] = &[
    ("int4[]", &["{}", "{1}", "{NULL}", "[0:1]={1,2}", "{{1,2},{3,4}}", "[-1:0][2:2]={{1},{2}}"]),
    ("int4[]", &["{{{{{{1}}}}}}", "{{{1,2},{3,4}},{{5,6},{7,NULL}}}"]),
    ("text[]", &["{\"\",NULL,\"NULL\",null,\"nUlL\",\"a b\",\"\\\\\",\"\\\"\",\"{\",\",\"}"]),
    ("bytea[]", &["{\"\\\\x00ff\"}"]),
    ("int2vector[]", &["{\"1 2\",\"\"}"]),
    ("numeric[]", &["{1.50,NaN,-0.001}"]),
];

#[tokio::test]
async fn ranges_agree_with_the_server() {
    let server = Server::start().await;
    agree_on(
        &server,
        &[
            "int8range(g, g + 7, '[]')",
            "numrange(g / 7.0, g, '(]')",
            "tsrange(now()::timestamp, now()::timestamp + g * interval '1 s', '[)')",
            "tstzrange(now() - g * interval '1 y', 'infinity', '[]')",
            "int4multirange(int4range(g, g + 3), int4range(-g - 9, -g))",
            "tstzmultirange(tstzrange(now(), now() + g * interval '1 s'))",
        ],
    )
    .await;
    agree_on_texts(&server, RANGES).await;
}

const RANGES: &[(&str, &[&str])] = &[
    ("int4range", &["empty", "[1,5)", "(,5)", "[1,)", "(,)"]),
    ("numrange", &["[1.0,1.0]", "(-Infinity,NaN)", "(,2.50]"]),
    ("daterange", &["[2000-01-01,infinity]", "[0044-03-15 BC,2000-01-01)"]),
    ("tsrange", &["[\"2000-01-01 00:00:00\",\"2000-01-02 00:00:00\"]"]),
    ("nummultirange", &["{}", "{[1,2),(3,)}", "{(,)}"]),
    ("datemultirange[]", &["{\"{[2000-01-01,2001-01-01)}\",\"{}\"}"]),
];

const OWN_TYPES: &str = r#"
    CREATE TYPE mood AS ENUM ('sad', 'so, so', 'NULL', '"', '');
    CREATE DOMAIN even AS int4 CHECK (VALUE % 2 = 0);
    CREATE DOMAIN evens AS even[];
    CREATE TYPE pair AS (m mood, e even, gone text, "t T" text[], r numrange);
    ALTER TYPE pair DROP ATTRIBUTE gone;
    CREATE TYPE label AS RANGE (subtype = text, subtype_opclass = text_ops);
    CREATE TABLE stock (p pair, boxes box[], l label[]);
"#;

const OWN_VALUES: &[&str] = &[
    "unnest(enum_range(NULL::mood))",
    "enum_range(NULL::mood)",
    "ARRAY[ARRAY[2, -4], ARRAY[6, NULL]]::evens",
    "unnest(ARRAY[ROW('so, so', 2, ARRAY['a b', NULL], '[1,2)'), ROW(NULL, NULL, NULL, NULL), \
        ROW('', 0, '{}', 'empty')]::pair[])",
    "ARRAY[ROW('\"', 4, ARRAY[['\\', '']], '(,)'), NULL]::pair[]",
    "unnest(ARRAY[label('a', 'b c'), label('', '('), label('[\"', '\\,'), 'empty'])",
    "label_multirange(label('a', 'b'), label('c', 'd e'))",
    "ROW(ROW('sad', 2, NULL, NULL), '{(1,1),(0,0);(3,3),(2,2)}', ARRAY[label('a', 'b')])::stock",
    "ARRAY[ROW(NULL, '{}', '{}')]::stock[]",
];

#[tokio::test]
async fn the_types_of_a_database_agree_with_the_server() {
    let server = Server::start().await;
    server.client.batch_execute(OWN_TYPES).await.expect("the types");
    for expression in OWN_VALUES {
        for printed in server.print(&format!("SELECT {expression}")).await {
            let rows = server.client.query(&catalog::query(&[printed.oid]), &[]).await;
            let rows: Vec<Row> = rows.expect("the catalog").iter().map(described).collect();
            let types = catalog::types(&rows);
            agree(types.get(&printed.oid).expect("its type"), &printed);
        }
    }
}

fn described(row: &tokio_postgres::Row) -> Row {
    let oid = |number: i64| u32::try_from(number).expect("an OID");
    Row {
        oid: oid(row.get(0)),
        name: row.get(1),
        kind: row.get(2),
        delimiter: row.get(3),
        send: row.get(4),
        part: oid(row.get(5)),
        field_names: row.get(6),
        field_types: row.get::<_, Vec<i64>>(7).into_iter().map(oid).collect(),
    }
}

/// What a service that returns texts alone is asked: a row as one text.
#[tokio::test]
async fn a_row_printed_as_one_value_comes_apart() {
    let server = Server::start().await;
    let query = r#"SELECT a, b, c, d FROM (VALUES
        ('x'::text, ''::text, NULL::text, 1),
        ('a"b', 'c\d', E' \t\n\v', 2), ('(', ')', ',', NULL), ('""', '\\', 'é𝄞', 3),
        (NULL, NULL, NULL, NULL), ('NULL', '{}', E'\u00a0', 4)) v(a, b, c, d)"#;
    let rows = server.client.query(query, &[]).await.expect("rows");
    let wrapped = format!("SELECT r::text FROM ({query}) r");
    let texts = server.client.query(&wrapped, &[]).await.expect("texts");
    for (row, text) in rows.iter().zip(&texts) {
        let text: &str = text.get(0);
        let number = row.get::<_, Option<i32>>(3).map(|number| number.to_string());
        let mut wanted: Vec<Option<String>> = (0..3).map(|index| row.get(index)).collect();
        wanted.push(number);
        let fields = record::fields(text).expect("a row");
        let found: Vec<Option<String>> =
            fields.into_iter().map(|field| field.map(Into::into)).collect();
        assert_eq!(found, wanted, "{text}");
        assert_eq!(record::literal(wanted.iter().map(Option::as_deref)), text);
    }
}

#[tokio::test]
async fn a_record_of_built_in_types_is_read_by_its_own_description() {
    let server = Server::start().await;
    let record = builtin(2249).expect("record");
    let query = "SELECT unnest(ARRAY[ROW(1, 'a b'::text, NULL::date, ARRAY[1.5, NULL])])";
    let printed = server.print(query).await.remove(0);
    let mut text = String::new();
    record.to_text(&printed.binary, &mut text).expect("a text");
    assert_eq!(text, printed.text);
}

/// As `citext` does: functions of its own by name, which are those of a built-in type.
const MINE: &str = "
    CREATE TYPE mine;
    CREATE FUNCTION mine_in(cstring) RETURNS mine LANGUAGE internal IMMUTABLE STRICT AS 'int8in';
    CREATE FUNCTION mine_out(mine) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int8out';
    CREATE FUNCTION mine_send(mine) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'int8send';
    CREATE TYPE mine (INPUT = mine_in, OUTPUT = mine_out, SEND = mine_send, LIKE = int8)";

#[tokio::test]
async fn send_functions_tell_the_forms_of_types_outside_the_table() {
    let server = Server::start().await;
    server.client.batch_execute(MINE).await.expect("the type");
    let printed = server.print("SELECT '-7'::mine").await.remove(0);
    let rows = server.client.query(&catalog::query(&[printed.oid]), &[]).await;
    let rows: Vec<Row> = rows.expect("the catalog").iter().map(described).collect();
    agree(&catalog::types(&rows)[&printed.oid], &printed);
}
