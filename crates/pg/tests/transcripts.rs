//! What is understood of recorded conversations of real clients, however their bytes are cut.
//!
//! `UPDATE_GOLDEN=1` writes what is understood beside each transcript.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use pgferry_pg::Session;
use pgferry_pg::frame::{Framer, Side};
use pgferry_pg::session::{Event, Tick};
use pgferry_pg::startup::{Action, LocalTls, Machine, Outcome, StartupMessage, packet_length};

#[path = "../../../tests/support/transcript.rs"]
mod transcript;

use transcript::{Line, NAMES};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn recorded_clients_are_understood_however_their_bytes_are_cut() {
    for name in NAMES {
        let lines = transcript::read(&root(), name);
        let whole = understand(&lines, usize::MAX);
        for size in [1, 2, 7, 64, 1000] {
            assert_eq!(understand(&lines, size), whole, "{name} in chunks of {size}");
        }
        assert_golden(name, &whole);
    }
}

#[test]
fn recorded_clients_exercise_what_they_are_recorded_for() {
    for name in NAMES {
        let lines = transcript::read(&root(), name);
        let said: BTreeSet<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        for wanted in
            ["Parse", "CopyInResponse", "CopyOutResponse", "NoticeResponse", "CancelRequest"]
        {
            assert!(said.contains(wanted), "{name} has no {wanted}");
        }
    }
}

fn assert_golden(name: &str, understood: &str) {
    let file = transcript::path(&root(), &format!("{name}.golden"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, understood).expect("the file can be written");
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert!(understood == golden, "{name} (UPDATE_GOLDEN=1 accepts it):\n{understood}");
}

/// What comes of each connection of a transcript, in chunks of `size`.
fn understand(lines: &[Line], size: usize) -> String {
    let connections: BTreeSet<u32> = lines.iter().map(|line| line.connection).collect();
    let mut out = String::new();
    for connection in connections {
        writeln!(out, "connection {connection}").expect("a string takes it");
        let lines: Vec<&Line> = lines.iter().filter(|line| line.connection == connection).collect();
        if let (Some(startup), rest) = open(&lines, &mut out) {
            follow(&startup, rest, size, &mut out);
        }
    }
    out
}

/// Walks the opening. Returns the startup message, unless it was a cancel request, and what follows.
fn open<'a>(lines: &'a [&Line], out: &mut String) -> (Option<StartupMessage>, &'a [&'a Line]) {
    let mut machine = Machine::new(LocalTls::NotOffered);
    let mut answer = None;
    for (place, line) in lines.iter().enumerate() {
        if !line.from_frontend {
            assert_eq!(answer.take(), line.bytes.first().copied(), "PostgreSQL answers otherwise");
            continue;
        }
        for end in 0..=line.bytes.len() {
            let expected = (end >= 4).then_some(line.bytes.len());
            assert_eq!(packet_length(&line.bytes[..end]), Ok(expected));
        }
        let (next, action) = machine.on_packet(&line.bytes, 0).expect("PostgreSQL took it");
        (machine, answer) = (next, action.answer());
        let rest = &lines[place + 1..];
        match action {
            Action::Finish(Outcome::Startup(message)) => {
                writeln!(out, "{}", startup(&message)).expect("a string takes it");
                return (Some(message), rest);
            }
            Action::Finish(Outcome::Cancel(key)) => {
                writeln!(out, "cancels {}", key.process_id()).expect("a string takes it");
                assert!(rest.is_empty(), "a cancel request has no answer");
                return (None, rest);
            }
            other => writeln!(out, "{other:?}").expect("a string takes it"),
        }
    }
    panic!("an opening without an end");
}

fn startup(message: &StartupMessage) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut out = format!("starts {}.{}", message.version.major, message.version.minor);
    for (name, value) in &message.parameters {
        write!(out, " {}={}", text(name), text(value)).expect("a string takes it");
    }
    assert!(message.negotiate().is_none(), "nothing to negotiate");
    out
}

fn follow(startup: &StartupMessage, lines: &[&Line], size: usize, out: &mut String) {
    let mut session = Session::new(startup.replication());
    let mut frontend = Framer::new(Side::Frontend);
    let mut backend = Framer::new(Side::Backend);
    let mut status = None;
    // What one side says in a row may arrive in any pieces.
    for run in lines.chunk_by(|one, next| one.from_frontend == next.from_frontend) {
        let bytes: Vec<u8> = run.iter().flat_map(|line| line.bytes.iter().copied()).collect();
        for chunk in bytes.chunks(size.min(bytes.len())) {
            let scanned = if run[0].from_frontend {
                frontend.scan(chunk, |message| session.on_frontend(message, Tick(0)))
            } else {
                backend.scan(chunk, |message| {
                    session.on_backend(message, Tick(0), &mut |event| note(event, out));
                })
            };
            scanned.expect("both sides frame their messages");
        }
        assert!(frontend.at_boundary() && backend.at_boundary(), "whole messages");
        if session.transaction_status() != status {
            status = session.transaction_status();
            writeln!(out, "status {status:?}").expect("a string takes it");
        }
    }
    let end = [
        ("idle", session.is_idle()),
        ("in flight", session.in_flight()),
        ("terminated", session.terminated()),
    ];
    let end: Vec<&str> = end.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    writeln!(out, "ends {}, {:?} copy", end.join(", "), session.copy_mode())
        .expect("a string takes it");
}

fn note(event: Event, out: &mut String) {
    match event {
        Event::Operation(sample) => {
            write!(out, "{} {}", sample.operation.as_str(), sample.outcome.as_str())
                .expect("a string takes it");
            if let Some(rows) = sample.rows {
                write!(out, ", {rows} rows").expect("a string takes it");
            }
            writeln!(out).expect("a string takes it");
        }
        Event::Error { severity, sql_state } => {
            let sql_state = sql_state.expect("PostgreSQL gives codes");
            writeln!(out, "{} {}", severity.as_str(), sql_state.as_str())
                .expect("a string takes it");
        }
        Event::Transaction(end) => writeln!(out, "{end:?}").expect("a string takes it"),
    }
}
