//! What real clients sent when they were recorded, sent again.

use std::path::Path;

use crate::stage::{Stage, compare, normal};
use crate::support::PATIENCE;
use crate::support::message::cancel_request;
use crate::support::transcript::{self, Line};
use crate::support::wire::{Message, Wire};
use crate::support::world::Way;

#[test]
fn psql_gets_the_same_answers() {
    same_everywhere("psql");
}

#[test]
fn libpq_in_pipeline_mode_gets_the_same_answers() {
    same_everywhere("libpq");
}

#[test]
fn pgjdbc_gets_the_same_answers() {
    same_everywhere("pgjdbc");
}

#[test]
fn asyncpg_gets_the_same_answers() {
    same_everywhere("asyncpg");
}

fn same_everywhere(name: &str) {
    let stage = Stage::get();
    let lines = transcript::read(Path::new(env!("CARGO_MANIFEST_DIR")), name);
    let expected = replay(&stage, &stage.direct(), &lines);
    for way in Way::ALL {
        let seen = replay(&stage, stage.proxied(way), &lines);
        compare(&format!("{name} through {way:?}"), &expected, &seen);
    }
}

/// Sends what the client sent, each message when the server has said what it had said by then. The
/// first connection is the session, the second one cancels.
fn replay(stage: &Stage, address: &str, lines: &[Line]) -> Vec<Message> {
    let mut wire = Wire::connect(address);
    let mut canceller = None;
    // Other versions report other settings: the greeting goes as far as it goes.
    let ready = lines.iter().position(|line| line.name == "ReadyForQuery").expect("a greeting");
    let (opening, session) = lines.split_at(ready + 1);
    for line in opening {
        match line.name.as_str() {
            "EncryptionResponse" => assert_eq!(wire.byte(), line.bytes[0]),
            _ if line.from_frontend => wire.send(&line.bytes),
            _ => {}
        }
    }
    let mut heard = wire.until(b'Z');
    let greeting = heard.len();
    let key = heard.iter().find(|message| message.tag == b'K').expect("a key").body.clone();
    for line in session {
        let wire = match line.connection {
            1 => &mut wire,
            _ => canceller.get_or_insert_with(|| sleeping(stage, address, &key)),
        };
        match line.name.as_str() {
            "CancelRequest" => cancel(wire, &key),
            "EncryptionResponse" => assert_eq!(wire.byte(), line.bytes[0]),
            _ if line.from_frontend => wire.send(&line.bytes),
            _ => heard.push(wire.next()),
        }
    }
    assert!(wire.rest().is_empty(), "nothing follows a goodbye");
    let spoken = session.iter().filter(|line| line.connection == 1 && !line.from_frontend);
    let recorded: Vec<u8> = spoken.map(|line| line.bytes[0]).collect();
    let tags: Vec<u8> = heard[greeting..].iter().map(|message| message.tag).collect();
    assert_eq!(tags, recorded, "{address} answers as it was recorded");
    heard.into_iter().map(normal).collect()
}

/// Connects once the query that is to be cancelled runs: before, a cancel request would hit nothing.
fn sleeping(stage: &Stage, address: &str, key: &[u8]) -> Wire {
    let process_id = u32::from_be_bytes(key[..4].try_into().expect("four bytes"));
    let asleep = format!(
        "select count(*) from pg_stat_activity where pid = {process_id} and wait_event = 'PgSleep'"
    );
    let began = tokio::time::Instant::now();
    while stage.ask(&asleep) != "1" {
        assert!(began.elapsed() < PATIENCE, "{process_id} does not sleep");
    }
    Wire::connect(address)
}

fn cancel(wire: &mut Wire, key: &[u8]) {
    wire.send(&cancel_request(key));
    assert!(wire.rest().is_empty(), "a cancel request has no answer");
}
