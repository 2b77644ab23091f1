//! The example in C, built with its own Makefile, loaded and driven through the raw contract.

#![expect(unsafe_code, reason = "loads a library")]
#![expect(clippy::unwrap_used, reason = "a test helper has nobody to tell")]

mod fake;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use fake::{Event, FakeHost, Instance, descriptor};
use libloading::os::unix::Library;
use pgferry_transport_abi::{EntryV1, Plugin, Status};
use serde_json::json;

#[test]
fn it_hands_over_a_connected_socket() {
    let host = FakeHost::new();
    let instance = Instance::create(plugin(), &host, b" { } ").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = json!({
        "client_label": "tricky \" \"host\": \"nowhere\"", "purpose": "session",
        "host": "127.0.0.1", "port": listener.local_addr().unwrap().port(),
        "deadline_ms": 60_000, "tcp_ms": 9000,
    });
    instance.open(1, &target);
    let mut ours = host.done().stream();
    let (mut far, _) = listener.accept().unwrap();
    far.write_all(b"hello").unwrap();
    let mut got = [0; 5];
    ours.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    instance.destroy();
}

#[test]
fn it_says_who_refused_and_why() {
    let host = FakeHost::new();
    let instance = Instance::create(plugin(), &host, b"{}").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    instance.open(1, &json!({"host": "127.0.0.1", "port": port, "deadline_ms": 60_000}));
    let done = host.done();
    assert_eq!(done.status, Status::UNREACHABLE);
    assert_eq!(done.message, format!("127.0.0.1:{port}: Connection refused"));
    instance.open(2, &json!({"host": "no such host", "port": port, "deadline_ms": 60_000}));
    let done = host.done();
    assert_eq!(done.status, Status::UNREACHABLE, "{}", done.message);
    instance.destroy();
}

#[test]
fn it_gives_up_at_the_deadline_and_when_cancelled() {
    let host = FakeHost::new();
    let instance = Instance::create(plugin(), &host, b"{}").unwrap();
    let full = full_backlog();
    let port = full.port;
    instance.open(1, &json!({"host": "127.0.0.1", "port": port, "deadline_ms": 50}));
    assert_eq!(host.done().status, Status::TIMEOUT);
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            instance.open(2, &json!({"host": "127.0.0.1", "port": port, "deadline_ms": 60_000}));
        });
        // An open that hasn't begun can't be cancelled yet, so ask until it is answered.
        while !opening.is_finished() {
            instance.cancel(2);
            std::thread::yield_now();
        }
    });
    let done = host.done();
    assert_eq!(done.status, Status::CANCELLED);
    assert!(done.message.ends_with("cancelled"), "{}", done.message);
    instance.destroy();
}

#[test]
fn it_refuses_every_configuration_but_the_empty_one() {
    let cases: [&[u8]; 7] = [b"", b"[]", b"{", b"{\"a\":1}", b"{}x", b"\xff", b"null"];
    for config in cases {
        let host = FakeHost::new();
        let status = Instance::create(plugin(), &host, config).err();
        assert_eq!(status, Some(Status::CONFIG), "{config:?}");
        let said =
            host.wait(|event| if let Event::Done(d) = event { Some(d.message) } else { None });
        assert_eq!(said, "nothing to configure here: give {}");
    }
}

/// Built once per run, and never unloaded.
fn plugin() -> &'static Plugin {
    static ENTRY: OnceLock<EntryV1> = OnceLock::new();
    descriptor(*ENTRY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/examples/tcp-c");
        let out = tempfile::tempdir().unwrap();
        let made = Command::new("make")
            .arg("-C")
            .arg(source)
            .arg(format!("OUT={}", out.path().display()))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let file = out.path().join(libloading::library_filename("pgferry_transport_tcp"));
        // SAFETY: the example, which has no constructors.
        let library = unsafe { Library::open(Some(file), libloading::os::unix::RTLD_NOW) }.unwrap();
        // SAFETY: the symbol's type is the contract's.
        let entry = *unsafe { library.get::<EntryV1>(b"pgferry_transport_tcp_v1") }.unwrap();
        std::mem::forget(library);
        entry
    }))
}

/// A port where connects hang: its backlog is full, and nobody accepts.
struct FullBacklog {
    port: u16,
    _listener: socket2::Socket,
    _waiting: Vec<socket2::Socket>,
}

fn full_backlog() -> FullBacklog {
    let stream =
        || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = stream();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    loop {
        let socket = stream();
        socket.set_nonblocking(true).unwrap();
        // Non-blocking connects only begin here; the first that stays unfinished found it full.
        drop(socket.connect(&address));
        let stuck = !writable_soon(&socket);
        waiting.push(socket);
        if stuck {
            let port = address.as_socket().unwrap().port();
            return FullBacklog { port, _listener: listener, _waiting: waiting };
        }
    }
}

fn writable_soon(socket: &socket2::Socket) -> bool {
    let mut asked =
        [rustix::event::PollFd::from_borrowed_fd(socket.as_fd(), rustix::event::PollFlags::OUT)];
    let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    rustix::event::poll(&mut asked, Some(&limit)).unwrap() > 0
}
