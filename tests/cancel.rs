//! Cancel requests reach the backend they are meant for, and no other.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking, also in what its tests share"
)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use pgferry_simulators::{Role, SERVER_NAME};
use support::PATIENCE;
use support::message::{V3_0, V3_2, cancel_request, query};
use support::pgferry::Pgferry;
use support::shared::Shared;
use support::wire::{Message, Wire};
use support::world::{Way, World};

/// One pgferry with a target for each transport.
struct Stage {
    pgferry: Pgferry,
    world: World,
}

static STAGE: Shared<Stage> = Shared::new();

impl Stage {
    fn get() -> Arc<Self> {
        STAGE.get(|| {
            let world = World::start();
            let targets = Way::ALL.iter().map(|way| world.target(&name(*way), *way, Role::Scram));
            let config = targets.collect::<String>();
            let pgferry = Pgferry::start(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n{config}"));
            Self { pgferry, world }
        })
    }

    fn address(&self, way: Way) -> &str {
        self.pgferry.address(&name(way))
    }

    fn count(&self, way: Way, result: &str) -> Option<f64> {
        let target = name(way);
        self.pgferry.metric(&format!(
            "pgferry_cancel_requests_total{{target=\"{target}\",result=\"{result}\"}}"
        ))
    }
}

fn name(way: Way) -> String {
    format!("{way:?}").to_lowercase()
}

/// A session and its cancel key.
struct Session {
    wire: Wire,
    key: Vec<u8>,
}

impl Session {
    fn open(address: &str, version: u32) -> Self {
        let parameters = [("user", "me"), ("database", "app")];
        let (wire, greeting) = Wire::greeted(address, version, &parameters);
        let key = greeting.into_iter().find(|message| message.tag == b'K');
        Self { wire, key: key.expect("a cancel key").body }
    }

    /// Starts a query that waits for an advisory lock, and returns when the backend runs it.
    fn wait_for_lock(&mut self, lock: u32) {
        // A notice is sent at once, so it tells that the backend is past it.
        self.wire.send(&query(&format!(
            "do $$ begin raise notice 'running'; perform pg_advisory_lock({lock}); end $$; \
             select 'undisturbed'"
        )));
        self.wire.until(b'N');
    }

    fn finish(&mut self) -> Vec<Message> {
        self.wire.until(b'Z')
    }
}

/// Sends a cancel request and waits for the end of its connection, without a word.
fn cancel(address: &str, key: &[u8]) {
    let mut wire = Wire::connect(address);
    wire.send(&cancel_request(key));
    assert_eq!(wire.rest(), b"", "a cancel request gets no answer");
}

fn assert_cancelled(answer: &[Message]) {
    let error = answer.iter().find(|message| message.tag == b'E').expect("an error");
    assert_eq!(error.field(b'C').as_deref(), Some("57014"), "{error:?}");
    let text = error.field(b'M').expect("a message");
    assert_eq!(text, "canceling statement due to user request");
}

fn assert_undisturbed(answer: &[Message]) {
    let row = answer.iter().find(|message| message.tag == b'D');
    let row = row.unwrap_or_else(|| panic!("no row in {answer:?}"));
    assert_eq!(row.columns(), [Some("undisturbed".to_owned())]);
}

#[test]
fn cancel_reaches_the_backend_that_runs_the_query_and_no_other() {
    let stage = Stage::get();
    for (way, lock) in Way::ALL.into_iter().zip(100..) {
        let address = stage.address(way);
        let mut holder = Session::open(address, V3_0);
        holder.wire.query(&format!("select pg_advisory_lock({lock})"));
        let mut meant = Session::open(address, V3_0);
        let mut other = Session::open(address, V3_0);
        meant.wait_for_lock(lock);
        other.wait_for_lock(lock);
        let before = stage.count(way, "forwarded").unwrap_or(0.0);
        cancel(address, &meant.key);
        assert_cancelled(&meant.finish());
        holder.wire.query(&format!("select pg_advisory_unlock({lock})"));
        assert_undisturbed(&other.finish());
        meant.wire.query("select 'usable'");
        assert_eq!(stage.count(way, "forwarded"), Some(before + 1.0), "{way:?}");
    }
}

#[test]
fn a_key_that_is_wrong_in_any_part_does_nothing() {
    let stage = Stage::get();
    let way = Way::SshLoaded;
    let address = stage.address(way);
    let mut holder = Session::open(address, V3_0);
    holder.wire.query("select pg_advisory_lock(200)");
    let mut session = Session::open(address, V3_0);
    session.wait_for_lock(200);
    let before = stage.count(way, "not_found").unwrap_or(0.0);
    let mut secret = session.key.clone();
    secret[7] ^= 1;
    let mut process_id = session.key.clone();
    process_id[3] ^= 1;
    let longer = [&session.key[..], b"\0"].concat();
    for key in [secret, process_id, longer] {
        cancel(address, &key);
    }
    // The right key, but at another target.
    cancel(stage.address(Way::TcpC), &session.key);
    assert_eq!(stage.count(way, "not_found"), Some(before + 3.0));
    assert_eq!(stage.count(Way::TcpC, "not_found"), Some(1.0));
    holder.wire.query("select pg_advisory_unlock(200)");
    assert_undisturbed(&session.finish());
}

#[test]
fn the_key_of_a_session_that_has_ended_does_nothing() {
    let stage = Stage::get();
    let address = stage.address(Way::TcpRust);
    let Session { mut wire, key } = Session::open(address, V3_0);
    let before = stage.count(Way::TcpRust, "not_found").unwrap_or(0.0);
    wire.send(&support::message::terminate());
    assert!(wire.rest().is_empty());
    cancel(address, &key);
    assert_eq!(stage.count(Way::TcpRust, "not_found"), Some(before + 1.0));
}

#[test]
fn a_cancel_that_comes_late_does_not_hit_the_next_query() {
    let stage = Stage::get();
    let address = stage.address(Way::Direct);
    let mut holder = Session::open(address, V3_0);
    let mut session = Session::open(address, V3_0);
    let before = stage.count(Way::Direct, "late").unwrap_or(0.0);
    for _ in 0..20 {
        holder.wire.query("select pg_advisory_lock(300)");
        session.wire.query("select 'done'");
        cancel(address, &session.key);
        session.wait_for_lock(300);
        holder.wire.query("select pg_advisory_unlock(300)");
        assert_undisturbed(&session.finish());
        session.wire.query("select pg_advisory_unlock_all()");
    }
    assert_eq!(stage.count(Way::Direct, "late"), Some(before + 20.0));
}

#[test]
fn cancel_works_in_the_middle_of_a_pipeline_and_of_a_copy() {
    let stage = Stage::get();
    let address = stage.address(Way::SshLinked);
    let mut session = Session::open(address, V3_0);
    let copy = "copy (select generate_series(1, 1000000000), repeat('x', 1000)) to stdout";
    session.wire.send(&[query(copy), query("select 'undisturbed'")].concat());
    session.wire.until(b'd');
    // The backend may be blocked until its rows are taken: so both at once.
    let key = session.key.clone();
    thread::scope(|scope| {
        scope.spawn(|| cancel(address, &key));
        let error = loop {
            match session.wire.next() {
                message if message.tag == b'd' => {}
                message => break message,
            }
        };
        assert_cancelled(&[error]);
    });
    session.finish();
    assert_undisturbed(&session.finish());
}

#[test]
fn keys_have_4_bytes_in_protocol_3_0_and_32_in_3_2_and_both_work() {
    let stage = Stage::get();
    let address = stage.address(Way::Direct);
    for (version, length, lock) in [(V3_0, 4, 400), (V3_2, 32, 401)] {
        let mut holder = Session::open(address, V3_0);
        holder.wire.query(&format!("select pg_advisory_lock({lock})"));
        let mut session = Session::open(address, version);
        assert_eq!(session.key.len(), 4 + length);
        session.wait_for_lock(lock);
        cancel(address, &session.key);
        assert_cancelled(&session.finish());
    }
}

#[test]
fn a_cancel_request_goes_to_the_database_inside_tls_and_with_the_databases_own_key() {
    let stage = Stage::get();
    let wiretap = Wiretap::start(stage.world.postgres.port());
    let target = stage.world.target("tapped", Way::Direct, Role::HostsslOnly);
    let port = format!("port = {},", stage.world.postgres.port());
    assert!(target.contains(&port) && target.contains(SERVER_NAME));
    let config = target.replace(&port, &format!("port = {},", wiretap.port));
    let pgferry = Pgferry::start(&config);
    let mut session = Session::open(pgferry.address("tapped"), V3_0);
    session.wait_for_lock_that_nobody_gives();
    cancel(pgferry.address("tapped"), &session.key);
    assert_cancelled(&session.finish());
    let _session = wiretap.next();
    let heard = wiretap.next();
    assert_eq!(&heard[..8], b"\0\0\0\x08\x04\xd2\x16\x2f", "first of all, TLS is asked for");
    assert_eq!(&heard[8..10], b"\x16\x03", "then comes a TLS hello");
    for clear in [&cancel_request(&session.key)[4..8], &session.key[..]] {
        assert!(!heard.windows(clear.len()).any(|window| window == clear), "it is in the clear");
    }
}

impl Session {
    fn wait_for_lock_that_nobody_gives(&mut self) {
        self.wire
            .send(&query("do $$ begin raise notice 'running'; perform pg_sleep(3600); end $$"));
        self.wire.until(b'N');
    }
}

/// Passes a session and a cancel request on to a port of 127.0.0.1, and tells what each one said
/// towards it.
struct Wiretap {
    port: u16,
    heard: mpsc::Receiver<Arc<Mutex<Vec<u8>>>>,
}

impl Wiretap {
    const CONNECTIONS: usize = 2;

    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it has one").port();
        let (sender, heard) = mpsc::channel();
        thread::spawn(move || {
            for client in listener.incoming().take(Self::CONNECTIONS).map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", to)).expect("the database listens");
                let record = Arc::<Mutex<Vec<u8>>>::default();
                if sender.send(Arc::clone(&record)).is_err() {
                    return;
                }
                let (from_server, to_client) = (server.try_clone(), client.try_clone());
                let back = (from_server.expect("a handle"), to_client.expect("a handle"));
                thread::spawn(move || pass(back.0, back.1, &Mutex::default()));
                thread::spawn(move || pass(client, server, &record));
            }
        });
        Self { port, heard }
    }

    /// What the next connection said so far.
    fn next(&self) -> Vec<u8> {
        let record = self.heard.recv_timeout(PATIENCE).expect("a connection");
        record.lock().expect("nobody panicked").clone()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, record: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        record.lock().expect("nobody panicked").extend(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // It may be closed already.
    to.shutdown(Shutdown::Write).ok();
}
