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
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use super::{TABLE, value};

#[test]
fn what_one_form_is_made_of_comes_back_from_the_other() {
    let corpus = corpus();
    for seed in &corpus {
        value(seed);
    }
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let inputs = inputs(corpus);
    let config = Config { failure_persistence: None, ..Config::with_cases(20_000) };
    let mut runner = TestRunner::new(config);
    loop {
        let outcome = runner.run(&inputs, |input| {
            value(&input);
            Ok(())
        });
        // What is printed is the smallest input that fails: it belongs into the corpus.
        outcome.unwrap_or_else(|failure| panic!("value: {failure}"));
        if until.is_none_or(|until| Instant::now() >= until) {
            return;
        }
    }
}

#[test]
fn every_base_type_has_a_seed_in_each_form_that_it_has() {
    let corpus = corpus();
    let has = |name: &str, form: &str| {
        let line = format!("{name} {form}\n");
        corpus.iter().any(|seed| seed.starts_with(line.as_bytes()))
    };
    for (_, name, entry) in TABLE {
        let without_binary = matches!(entry, crate::table::Entry::Base(crate::Base::TextOnly));
        let part = matches!(entry, crate::table::Entry::Array(_)) || *name == "record";
        let seeded = has(name, "text") && has(name, "binary");
        assert!(part || without_binary || seeded, "{name} has no seed in both forms");
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/value");
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// A seed of which a few pieces are replaced: by what means something to a type, by any bytes, or by
/// a piece of another seed.
fn inputs(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let place = any::<u16>().prop_map(usize::from);
    let piece = prop_oneof![
        3 => vec(select(&b"\0\x01\x02\x04\x08\x7f\x80\xff{}[](),:;\"'\\ -+.eE0159/NaI!&|<>"[..]), 0..4),
        1 => vec(any::<u8>(), 0..6),
        1 => (select(corpus.clone()), place.clone(), 0_usize..12).prop_map(|(seed, start, length)| {
            let start = start % seed.len();
            seed[start..seed.len().min(start + length)].to_vec()
        }),
    ];
    let edits = vec((place, 0_usize..6, piece), 0..5);
    (select(corpus), edits).prop_map(|(seed, edits)| {
        let line = seed.iter().position(|byte| *byte == b'\n').map_or(0, |line| line + 1);
        edits.into_iter().fold(seed, |mut input, (place, length, piece)| {
            // The first line says how to read the rest: it stays.
            let start = line + place % (input.len() - line + 1);
            let end = input.len().min(start + length);
            input.splice(start..end, piece);
            input
        })
    })
}
