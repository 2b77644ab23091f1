//! What must hold for whatever a peer sends, as functions of arbitrary bytes.
//!
//! A fuzzer calls them with what it makes up (`fuzz/` at the top of the repository), and the tests of
//! this crate with a corpus and mutations of it. Each one states more than that nothing panics: it
//! holds the code against a slow description of the same rule, or against what the rule promises.
//!
//! Inputs are text where that is possible, so that a corpus can be read and written by hand.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a broken promise ends the run, and nobody but fuzzers and tests gets here"
)]

mod frame;
mod message;
mod scram;
mod session;
mod startup;

/// Something to call with arbitrary bytes. It panics when a promise is broken.
pub type Target = fn(&[u8]);

/// Every target by its name: that of its file in `fuzz/fuzz_targets` and of its folder in
/// `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 5] = [
    ("frame", frame::check),
    ("message", message::check),
    ("scram", scram::check),
    ("session", session::check),
    ("startup", startup::check),
];

/// Runs the target of that name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a known target");
    target(data);
}

/// Takes up to `length` bytes off the front.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (head, tail) = rest.split_at(length.min(rest.len()));
    *rest = tail;
    head
}

/// Takes a byte off the front: zero at the end.
fn take_byte(rest: &mut &[u8]) -> u8 {
    take(rest, 1).first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
