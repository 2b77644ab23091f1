//! Arrays, ranges, and the types of a database's own.

use std::sync::Arc;

use pgferry_values::{Base, Field, Kind, Type, builtin, record};

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

/// The types of `OWN_TYPES`, described as its catalog would.
struct Own {
    mood: Type,
    even: Type,
    pair: Type,
    labels: Type,
}

const OWN_TYPES: &str = r#"
    CREATE TYPE mood AS ENUM ('sad', 'so, so', 'NULL', '"', '');
    CREATE DOMAIN even AS int4 CHECK (VALUE % 2 = 0);
    CREATE TYPE pair AS (m mood, e even, gone text, "t T" text[], r numrange);
    ALTER TYPE pair DROP ATTRIBUTE gone;
    CREATE TYPE label AS RANGE (subtype = text, subtype_opclass = text_ops);
"#;

impl Own {
    async fn create(server: &Server) -> Self {
        server.client.batch_execute(OWN_TYPES).await.expect("the types");
        let oid = async |name: &'static str| {
            let row = server.client.query_one("SELECT $1::text::regtype::oid", &[&name]).await;
            row.expect("a type").get::<_, u32>(0)
        };
        let field = |name: &str, ty: &Type| Field { name: name.to_owned(), ty: ty.clone() };
        let own = |oid, name: &'static str, kind| Type { oid, name: name.into(), kind };
        let text = builtin(25).expect("text");
        let mood = own(oid("mood").await, "mood", Kind::Enum);
        let int4 = Arc::new(builtin(23).expect("int4"));
        let even = own(oid("even").await, "even", Kind::Domain(int4));
        let texts = builtin(1009).expect("_text");
        let range = builtin(3906).expect("numrange");
        let fields =
            [field("m", &mood), field("e", &even), field("t T", &texts), field("r", &range)];
        let pair = own(oid("pair").await, "pair", Kind::Composite(fields.into()));
        let labels = own(oid("label").await, "label", Kind::Range(Arc::new(text)));
        Self { mood, even, pair, labels }
    }
}

#[tokio::test]
async fn the_types_of_a_database_agree_with_the_server() {
    let server = Server::start().await;
    let own = Own::create(&server).await;
    let moods = Type::array(oid_of(&server, "mood[]").await, "_mood", own.mood.clone());
    let pairs = Type::array(oid_of(&server, "pair[]").await, "_pair", own.pair.clone());
    let cases = [
        (&own.mood, "unnest(enum_range(NULL::mood))"),
        (&moods, "enum_range(NULL::mood)"),
        (&own.even, "unnest(ARRAY[2, -4])::even"),
        (
            &own.pair,
            "unnest(ARRAY[ROW('so, so', 2, ARRAY['a b', NULL], '[1,2)'), \
            ROW(NULL, NULL, NULL, NULL), ROW('', 0, '{}', 'empty')]::pair[])",
        ),
        (&pairs, "ARRAY[ROW('\"', 4, ARRAY[['\\', '']], '(,)'), NULL]::pair[]"),
        (
            &own.labels,
            "unnest(ARRAY[label('a', 'b c'), label('', '('), label('[\"', '\\,'), 'empty'])",
        ),
    ];
    for (ty, expression) in cases {
        for printed in server.print(&format!("SELECT {expression}")).await {
            // A domain is sent under the name of its base.
            let base = matches!(ty.kind, Kind::Domain(_));
            assert!(base || printed.oid == ty.oid, "{expression} is of type {}", printed.oid);
            agree(ty, &printed);
        }
    }
}

async fn oid_of(server: &Server, name: &str) -> u32 {
    let row = server.client.query_one("SELECT $1::text::regtype::oid", &[&name]).await;
    row.expect("a type").get(0)
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
    let send =
        "SELECT prosrc FROM pg_proc, pg_type WHERE pg_proc.oid = typsend AND typname = 'mine'";
    let send: String = server.client.query_one(send, &[]).await.expect("a row").get(0);
    let printed = server.print("SELECT '-7'::mine").await.remove(0);
    agree(&Type::base(printed.oid, "mine", Base::of_send(&send)), &printed);
}
