//! The table of built-in types, written from a server's catalog and held against it.
//!
//! `UPDATE_TABLE=1 cargo test -p pgferry-values --test oracle` writes it anew.

use std::{env, fs, path::Path};

use pgferry_values::Base;

use crate::server::Server;

/// Pseudo-types have no values but for these: `unknown`, `record`, `cstring`, `void`, `record[]`.
/// Types from 10000 on have other OIDs in every cluster.
const TYPES: &str = "SELECT t.oid, t.typname::text, t.typtype = 'r', t.typtype = 'm',
        t.typsend = 'array_send'::regproc,
        coalesce(r.rngsubtype, m.rngtypid, t.typelem), coalesce(p.prosrc, '-')
    FROM pg_type t
    LEFT JOIN pg_range r ON r.rngtypid = t.oid
    LEFT JOIN pg_range m ON m.rngmultitypid = t.oid
    LEFT JOIN pg_proc p ON p.oid = t.typsend
    WHERE t.oid < 10000 AND t.typrelid = 0
        AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typrelid <> 0)
        AND (t.typtype <> 'p' OR t.oid IN (705, 2249, 2275, 2278, 2287))
    ORDER BY t.oid";

#[tokio::test]
async fn the_table_says_what_the_server_says() {
    let server = Server::start().await;
    let rows = server.client.query(TYPES, &[]).await.expect("the catalog");
    let mut lines = String::new();
    for row in rows {
        let (oid, name): (u32, String) = (row.get(0), row.get(1));
        let (range, multirange, array): (bool, bool, bool) = (row.get(2), row.get(3), row.get(4));
        let (other, send): (u32, String) = (row.get(5), row.get(6));
        let entry = match name.as_str() {
            "record" => "Record".to_owned(),
            _ if range => format!("Range({other})"),
            _ if multirange => format!("Multirange({other})"),
            _ if array => format!("Array({other})"),
            _ => format!("Base(Base::{:?})", Base::of_send(&send)),
        };
        lines.extend(["    (", &oid.to_string(), ", \"", &name, "\", Entry::", &entry, "),\n"]);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/table.rs");
    let before = fs::read_to_string(&file).expect("the table");
    let (head, rest) = before.split_once("= &[\n").expect("its start");
    let (found, tail) = rest.split_once("];\n").expect("its end");
    if env::var_os("UPDATE_TABLE").is_some() {
        fs::write(&file, format!("{head}= &[\n{lines}];\n{tail}")).expect("writing the table");
    } else {
        assert_eq!(found, lines, "UPDATE_TABLE=1 writes it anew");
    }
}
