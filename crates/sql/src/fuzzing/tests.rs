//! The promise against its corpus and mutations of it: seconds by default, `FUZZ_SECONDS` if set.

#![expect(
    clippy::disallowed_types,
    reason = "there is no runtime here, and only the length of a run depends on the clock"
)]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

/// What is put into a seed, or in place of a part of it.
const PIECES: &[&str] = &[
    "'",
    "''",
    "\\",
    "\\'",
    "E'",
    "N'",
    "U&'",
    "U&\"",
    "\"",
    "$$",
    "$a$",
    "$1",
    "$2",
    "1",
    "0x",
    "_",
    ".",
    "..",
    "-",
    "--",
    "+",
    "*",
    "/*",
    "*/",
    "@",
    "=>",
    ":",
    "::",
    ":=",
    ":a",
    ";",
    ",",
    "(",
    ")",
    "[",
    "]",
    " ",
    "\n",
    "\r",
    "a",
    "é",
    "as",
    "select",
    "with",
    "insert into",
    "begin atomic",
    "end",
    "case",
    "create function",
    "cast(",
    "values",
    "prepare",
];

#[test]
fn sql_is_read_and_rewritten_without_losing_anything() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/sql");
    let entries = fs::read_dir(folder).expect("a corpus");
    let mut corpus: Vec<String> = entries
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a text"))
        .collect();
    corpus.sort();
    for seed in &corpus {
        super::sql(seed.as_bytes());
    }
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let inputs = inputs(corpus);
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(3000) });
    loop {
        let outcome = runner.run(&inputs, |input| {
            super::sql(input.as_bytes());
            Ok(())
        });
        // What is printed is the smallest input that fails: it belongs into the corpus.
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
        if until.is_none_or(|until| Instant::now() >= until) {
            return;
        }
    }
}

fn inputs(corpus: Vec<String>) -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(PIECES);
    let free = proptest::collection::vec(piece.clone(), 0..30).prop_map(|pieces| pieces.concat());
    let seed = proptest::sample::select(corpus);
    let edit = (any::<u16>(), 0_usize..6, piece);
    let edited = (seed, proptest::collection::vec(edit, 0..6)).prop_map(|(seed, edits)| {
        let mut text: Vec<char> = seed.chars().collect();
        for (place, length, piece) in edits {
            let start = usize::from(place) % (text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        text.into_iter().collect()
    });
    prop_oneof![1 => free, 2 => edited]
}
