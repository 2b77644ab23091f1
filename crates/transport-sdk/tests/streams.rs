//! What streams promise: bytes unchanged, half closes passed on, the reason before the close.

#![expect(clippy::unwrap_used, reason = "a test helper has nobody to tell")]

mod fake;
#[path = "fake/linked.rs"]
mod linked;
#[path = "fake/subject.rs"]
mod subject;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};

use fake::{FakeHost, Ours};
use linked::{dialled, linked, named};
use pgferry_transport_abi::Status;
use serde_json::{Value, json};

#[test]
fn an_open_hands_over_a_working_socket() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    instance.open(1, &target("handover", &listener));
    let mut ours = host.done().stream();
    let (mut far, _) = listener.accept().unwrap();
    round_trip(&mut ours, &mut far);
    instance.destroy();
    round_trip(&mut ours, &mut far);
}

#[test]
fn a_cancel_after_the_answer_leaves_the_stream_alone() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &named("serve"));
    let mut ours = host.done().stream();
    instance.cancel(1);
    ours.write_all(b"still there").unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut ours), b"still there");
    assert_eq!(host.closed().0, Status::OK);
    instance.destroy();
}

#[test]
fn a_panic_in_a_stream_is_said_before_the_socket_closes() {
    for name in ["serve-panics", "pump-panics"] {
        let host = FakeHost::new();
        let instance = linked(&host, "{}");
        instance.open(1, &named(name));
        let done = host.done();
        let (status, message) = host.closed();
        assert_eq!(status, Status::PANIC);
        assert!(message.contains("told to panic in"), "{message}");
        assert_eq!(rest(&mut done.stream()), b"");
        instance.destroy();
    }
}

#[test]
fn half_closes_pass_through_a_pump_both_ways() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();

    instance.open(1, &target("pump", &listener));
    let mut ours = host.done().stream();
    let (mut far, _) = listener.accept().unwrap();
    ours.write_all(b"question").unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut far), b"question");
    far.write_all(b"answer").unwrap();
    drop(far);
    assert_eq!(rest(&mut ours), b"answer");
    assert_eq!(host.closed().0, Status::OK);

    instance.open(2, &target("pump", &listener));
    let mut ours = host.done().stream();
    let (mut far, _) = listener.accept().unwrap();
    far.write_all(b"greeting").unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut ours), b"greeting");
    ours.write_all(b"thanks").unwrap();
    drop(ours);
    assert_eq!(rest(&mut far), b"thanks");
    assert_eq!(host.closed().0, Status::OK);
    instance.destroy();
}

#[test]
fn a_pump_carries_megabytes_unchanged() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    instance.open(1, &target("pump", &listener));
    let mut ours = host.done().stream();
    let (mut far, _) = listener.accept().unwrap();
    let sent: Vec<u8> =
        (0..8_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let echoing = std::thread::spawn(move || {
        let mut back = far.try_clone().unwrap();
        std::io::copy(&mut far, &mut back).unwrap();
        back.shutdown(Shutdown::Write).unwrap();
    });
    let mut writer = ours.try_clone().unwrap();
    let expected = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    assert!(rest(&mut ours) == expected);
    writing.join().unwrap();
    echoing.join().unwrap();
    instance.destroy();
}

#[test]
fn a_host_that_goes_away_ends_a_pump_whose_far_side_stays_silent() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    instance.open(1, &target("pump", &listener));
    let ours = host.done().stream();
    let (mut far, _) = listener.accept().unwrap();
    drop(ours);
    assert_eq!(host.closed().0, Status::OK);
    assert_eq!(rest(&mut far), b"");
    instance.destroy();
}

#[test]
fn a_lost_session_is_said_although_it_looks_like_a_clean_end() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &named("pump-lost"));
    let mut ours = host.done().stream();
    assert_eq!(rest(&mut ours), b"x");
    assert_eq!(host.closed(), (Status::UNREACHABLE, "the bastion went away".to_owned()));
    instance.destroy();
}

#[test]
fn a_broken_far_side_is_said_before_the_socket_closes() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &named("pump-broken"));
    let mut ours = host.done().stream();
    let (status, message) = host.closed();
    assert_eq!(status, Status::INTERNAL);
    assert!(message.starts_with("the connection broke: "), "{message}");
    assert_eq!(rest(&mut ours), b"");
    instance.destroy();
}

#[test]
fn a_served_stream_that_drops_its_socket_still_says_why_first() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &named("serve-fails"));
    let done = host.done();
    let mut ours = done.stream();
    ours.write_all(b"x").unwrap();
    assert_eq!(host.closed(), (Status::AUTH, "the session was revoked".to_owned()));
    assert_eq!(rest(&mut ours), b"");
    instance.destroy();
}

#[test]
fn a_dial_gives_a_stream_that_can_be_pumped_or_handed_over() {
    for name in ["dial", "dial-handover"] {
        let host = FakeHost::new();
        let instance = linked(&host, "{}");
        let target = json!({"host": name, "port": 5432, "database": "db", "deadline_ms": 60_000});
        instance.open(1, &target);
        let (request, mut peer) = dialled(&host);
        assert!(request["deadline_ms"].as_u64().unwrap() <= 60_000, "{request}");
        let mut ours = host.done().stream();
        ours.write_all(b"down").unwrap();
        let mut got = [0; 4];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"down");
        instance.destroy();
    }
}

fn target(host: &str, listener: &TcpListener) -> Value {
    let port = listener.local_addr().unwrap().port();
    json!({"host": host, "port": port, "deadline_ms": 60_000})
}

fn round_trip(ours: &mut Ours, far: &mut std::net::TcpStream) {
    let mut got = [0; 4];
    ours.write_all(b"ping").unwrap();
    far.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"ping");
    far.write_all(b"pong").unwrap();
    ours.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"pong");
}

fn rest(from: &mut impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap();
    rest
}
