//! Full text search.

use crate::server::{Server, agree_on_texts};

#[tokio::test]
async fn documents_and_queries_agree_with_the_server() {
    let server = Server::start().await;
    agree_on_texts(&server, SEARCHES).await;
}

const SEARCHES: &[(&str, &[&str])] = &[
    ("tsvector", &["", "a", "a:1A,2B,3C,4D b c:16383", "'it''s' '\\\\\\\\' 'a b' 'é'"]),
    ("tsquery", &["", "a", "a & b", "a | b & c", "(a | b) & c", "!a", "!(a & b)", "!!a"]),
    ("tsquery", &["a <-> b", "a <3> b", "a <-> (b <-> c)", "(a <-> b) <-> c", "a <0> b"]),
    ("tsquery", &["a:*", "a:AB", "a:*ABCD & b:D", "'it''s' | 'a b' | '\\\\\\\\'", "!a <-> !b"]),
    ("tsquery", &["(a | b) <-> (c & !d)", "a & !(b | c) & d | e <2> f", "((a & b) | c) & (d | e)"]),
    ("tsquery[]", &["{\"a & b\",\"'it''s'\"}"]),
];
