//! Every target against its corpus and mutations of it: seconds by default, `FUZZ_SECONDS` if set.

#![expect(
    clippy::disallowed_types,
    reason = "there is no runtime here, and only the length of a run depends on the clock"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{TARGETS, run};

/// One change of an input.
#[derive(Debug, Clone)]
enum Edit {
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Repeat(usize, usize),
    Cut(usize),
}

#[test]
fn framing_is_the_same_however_the_stream_is_cut() {
    hold("frame");
}

#[test]
fn login_messages_are_read_as_they_would_be_written() {
    hold("message");
}

#[test]
fn scram_lets_nobody_in_without_the_password() {
    hold("scram");
}

#[test]
fn a_session_keeps_its_books_whatever_is_sent() {
    hold("session");
}

#[test]
fn an_opening_ends_and_answers_nothing_twice() {
    hold("startup");
}

#[test]
fn every_target_has_a_file_for_the_fuzzer_and_a_corpus() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    // The targets of other crates lie there, too.
    let ours = |file: &&PathBuf| fs::read_to_string(file).unwrap().contains("pgferry_pg::");
    let files = entries(&fuzz().join("fuzz_targets"));
    let named = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
    let found: BTreeSet<String> = files.iter().filter(ours).map(named).collect();
    assert_eq!(found, known);
    for target in &known {
        assert!(!entries(&fuzz().join("corpus").join(target)).is_empty(), "{target} has no seed");
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn hold(target: &str) {
    let mut corpus: Vec<Vec<u8>> = entries(&fuzz().join("corpus").join(target))
        .iter()
        .map(|file| fs::read(file).unwrap())
        .collect();
    for seed in &corpus {
        run(target, seed);
    }
    // Slow ones: as they are, once.
    corpus.retain(|seed| !seed.starts_with(b"bulk\n"));
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let inputs = inputs(corpus);
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(2000) });
    loop {
        let outcome = runner.run(&inputs, |input| {
            run(target, &input);
            Ok(())
        });
        // What is printed is the smallest input that fails: it belongs into the corpus.
        outcome.unwrap_or_else(|failure| panic!("{target}: {failure}"));
        if until.is_none_or(|until| Instant::now() >= until) {
            return;
        }
    }
}

fn inputs(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let seed = proptest::sample::select(corpus);
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    let spliced = (seed.clone(), seed.clone(), any::<u16>(), any::<u16>()).prop_map(splice);
    let begun = (seed.clone(), bytes.clone()).prop_map(|(seed, tail)| [seed, tail].concat());
    let edited = (prop_oneof![seed, spliced], proptest::collection::vec(edit(), 0..8))
        .prop_map(|(seed, edits)| edits.iter().fold(seed, apply));
    prop_oneof![1 => bytes, 1 => begun, 6 => edited]
}

/// The beginning of one input and the end of another.
fn splice((one, other, head, tail): (Vec<u8>, Vec<u8>, u16, u16)) -> Vec<u8> {
    let head = usize::from(head) % (one.len() + 1);
    let tail = usize::from(tail) % (other.len() + 1);
    [&one[..head], &other[tail..]].concat()
}

fn edit() -> impl Strategy<Value = Edit> {
    let place = any::<u16>().prop_map(usize::from);
    let byte =
        prop_oneof![any::<u8>(), proptest::sample::select(&b"\0\x01\x04\x7f\xff\n|,=><ZEIQS"[..])];
    prop_oneof![
        (place.clone(), byte.clone()).prop_map(|(place, byte)| Edit::Set(place, byte)),
        (place.clone(), byte).prop_map(|(place, byte)| Edit::Insert(place, byte)),
        place.clone().prop_map(Edit::Remove),
        (place.clone(), 1_usize..40).prop_map(|(place, length)| Edit::Repeat(place, length)),
        place.prop_map(Edit::Cut),
    ]
}

fn apply(mut input: Vec<u8>, edit: &Edit) -> Vec<u8> {
    let (Edit::Set(place, _)
    | Edit::Insert(place, _)
    | Edit::Remove(place)
    | Edit::Repeat(place, _)
    | Edit::Cut(place)) = edit;
    let place = place % (input.len() + 1);
    let inside = place < input.len();
    match edit {
        Edit::Set(_, byte) if inside => input[place] = *byte,
        Edit::Insert(_, byte) => input.insert(place, *byte),
        Edit::Remove(_) if inside => {
            input.remove(place);
        }
        Edit::Repeat(_, length) => {
            let end = (place + length).min(input.len());
            input.extend_from_within(place..end);
        }
        Edit::Cut(_) => input.truncate(place),
        Edit::Set(..) | Edit::Remove(_) => {}
    }
    input
}
