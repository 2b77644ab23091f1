//! The data of `COPY`, held against a real `PostgreSQL`.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::{
    io::Write,
    process::{Output, Stdio},
};

use pgferry_simulators::{Postgres, Role};
use pgferry_sql::{
    Backslashes, Class,
    copy::{Layout, Row},
    statements,
};

fn layout(sql: &str) -> Layout {
    match statements(sql, Backslashes::Literal)[0].classify() {
        Class::Copy(copy) => Layout::of(&copy).expect(sql),
        other => panic!("{other:?}"),
    }
}

fn columns() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

fn written(layout: &Layout, rows: &[Row]) -> String {
    let mut out = Vec::new();
    layout.write_header(&columns(), &mut out);
    for row in rows {
        layout.write_row(row, &columns(), &mut out);
    }
    String::from_utf8(out).expect("UTF-8")
}

fn read(layout: &Layout, data: &str) -> Vec<Row> {
    let mut reader = layout.reader(&columns());
    let mut rows = reader.push(data.as_bytes()).expect(data);
    rows.extend(reader.finish().expect(data));
    rows
}

/// Runs a `COPY` with `data` as its input.
fn copied(postgres: &Postgres, sql: &str, data: &str) -> String {
    let mut psql = postgres.psql(Role::Scram);
    psql.args(["-c", sql]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut psql = psql.spawn().expect("psql starts");
    let mut input = psql.stdin.take().expect("a pipe");
    input.write_all(data.as_bytes()).expect("psql reads");
    drop(input);
    let Output { status, stdout, stderr } = psql.wait_with_output().expect("psql ends");
    assert!(status.success(), "{sql}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8")
}

const OPTIONS: [&str; 7] = [
    "",
    "(delimiter '|', null 'NULL')",
    "csv",
    "csv header",
    "(format csv, quote '''', escape '\\', null 'N', force_quote *)",
    "(format csv, delimiter E'\\t', force_quote (a, c))",
    "(format csv, delimiter '|', quote '~', escape '~', null 'x')",
];

#[test]
fn rows_are_written_as_postgresql_writes_them_and_read_as_it_means_them() {
    let postgres = Postgres::start();
    let values = [
        None,
        Some(""),
        Some("x"),
        Some("N"),
        Some("\\N"),
        Some("\\."),
        Some("a\tb|c,d'e\"f~g\\h\ni\rj"),
        Some("\u{8}\u{b}\u{c}\u{1}é😀"),
        Some(" blank "),
        Some("\"quoted\""),
    ];
    let row = |at: usize| -> Row {
        let pick = |step: usize| values[(at + step) % values.len()].map(str::to_owned);
        vec![pick(0), pick(1), pick(3)]
    };
    let rows: Vec<Row> = (0..values.len()).map(row).collect();
    let plain = written(&layout("copy t from stdin"), &rows);
    copied(&postgres, "create table t (a text, b text, c text)", "");
    copied(&postgres, "copy t from stdin", &plain);
    for options in OPTIONS {
        let sql = format!("copy t to stdout {options}");
        let theirs = copied(&postgres, &sql, "");
        assert_eq!(written(&layout(&sql), &rows), theirs, "{options}");
        assert_eq!(read(&layout(&sql), &theirs), rows, "{options}");
    }
}

#[test]
fn data_that_people_write_is_read_as_postgresql_reads_it() {
    let postgres = Postgres::start();
    copied(&postgres, "create table t (a text, b text, c text)", "");
    for (options, data) in [
        ("", "1\\t2\t\\x41\\x4g\\101\\8\t\\q\\\n"),
        ("", "a\\\nb\t\\\\N\t\\N\n\t\t\n"),
        ("", "a\tb\tc\r\n\t\t\r\n"),
        ("", "1\t2\t3\n\\.\n"),
        ("(delimiter ',')", "a\\,b,c\\\\,\\N"),
        ("csv", "a,\"b\",\"c\"\"d\"\n"),
        ("csv", "x\"y,z\"w, \"q\" ,\n,\"\",\"\n\"\n"),
        ("csv", "\"a\r\nb\",c,d\r\n1,2,3\r\n"),
        ("csv header", "p,q,r\n1,2,3"),
        ("(format csv, escape '\\')", "\"a\\\"b\",\"c\\\\\",\"d\\e\"\n"),
        (
            "(format csv, null 'N', force_null (a), force_not_null (b))",
            "\"N\",N,N\n\"N\",\"N\",\"N\"\n",
        ),
        ("(format csv, delimiter '|', quote '~')", "~a|b~|c~d|e~|~f~~g~\n"),
    ] {
        let sql = format!("copy t from stdin {options}");
        copied(&postgres, "truncate t", "");
        copied(&postgres, &sql, data);
        let theirs = copied(&postgres, "copy t to stdout", "");
        let ours = read(&layout(&sql), data);
        assert_eq!(written(&layout("copy t to stdout"), &ours), theirs, "{options} {data:?}");
    }
}
