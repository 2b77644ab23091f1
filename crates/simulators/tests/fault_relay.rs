//! Each fault of the relay, as both of its neighbours see it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use pgferry_simulators::{Direction, FaultRelay, NewConnections};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(20);
const A_MOMENT: Duration = Duration::from_millis(100);

#[test]
fn without_a_fault_bytes_and_ends_pass_unchanged() {
    let pair = Pair::new();
    let (mut frontend, mut backend) = pair.connect();
    let sent: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    let writer = {
        let (sent, mut frontend) = (sent.clone(), frontend.try_clone().unwrap());
        std::thread::spawn(move || {
            frontend.write_all(&sent).unwrap();
            frontend.shutdown(Shutdown::Write).unwrap();
        })
    };
    let mut received = Vec::new();
    backend.read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(received == sent);
    backend.write_all(b"answer after the end").unwrap();
    drop(backend);
    let mut answer = String::new();
    frontend.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer after the end");
    assert!(pair.relay.wait_until(LIMIT, |counters| counters.open == 0));
    let counters = pair.relay.counters();
    assert_eq!(
        (counters.accepted, counters.towards_backend, counters.towards_frontend),
        (1, 1_000_000, 20)
    );
}

#[test]
fn a_delay_adds_latency_each_way_and_no_more_for_many_bytes() {
    let pair = Pair::new();
    pair.relay.delay(Duration::from_millis(50));
    let (mut frontend, mut backend) = pair.connect();
    let begin = Instant::now();
    send(&mut frontend, &vec![7; 500_000]);
    expect(&mut backend, 500_000);
    send(&mut backend, &vec![8; 500_000]);
    expect(&mut frontend, 500_000);
    let elapsed = begin.elapsed();
    assert!(elapsed >= Duration::from_millis(100), "{elapsed:?}");
    // 62 chunks of 50 ms one after another would take three seconds.
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
}

#[test]
fn a_rate_limits_each_direction() {
    let pair = Pair::new();
    let (mut frontend, mut backend) = pair.connect();
    pair.relay.rate(100_000);
    let begin = Instant::now();
    send(&mut frontend, &vec![7; 30_000]);
    expect(&mut backend, 30_000);
    assert!(begin.elapsed() >= Duration::from_millis(250), "{:?}", begin.elapsed());
    pair.relay.rate(0);
    let begin = Instant::now();
    send(&mut frontend, &vec![7; 1_000_000]);
    expect(&mut backend, 1_000_000);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
fn a_cut_lets_exactly_that_many_bytes_pass_and_spares_later_connections() {
    let pair = Pair::new();
    let (mut frontend, mut backend) = pair.connect();
    pair.relay.cut_after(10, Direction::TowardsBackend);
    send(&mut frontend, b"0123");
    expect(&mut backend, 4);
    send(&mut frontend, b"456789 and the rest");
    let mut received = String::new();
    backend.read_to_string(&mut received).unwrap();
    assert_eq!(received, "456789");
    assert_ended(&mut frontend);
    let (mut frontend, mut backend) = pair.connect();
    send(&mut frontend, b"a longer text than ten bytes");
    expect(&mut backend, 28);
}

#[test]
fn a_cut_after_nothing_takes_the_first_answer() {
    let pair = Pair::new();
    let (mut frontend, mut backend) = pair.connect();
    pair.relay.cut_after(0, Direction::TowardsFrontend);
    send(&mut backend, b"answer");
    assert_eq!(frontend.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn a_half_close_ends_one_direction_only() {
    let pair = Pair::new();
    let (mut frontend, mut backend) = pair.connect();
    pair.relay.half_close(Direction::TowardsBackend);
    assert_eq!(backend.read(&mut [0; 1]).unwrap(), 0);
    send(&mut backend, b"still here");
    expect(&mut frontend, 10);
    let (mut frontend, mut backend) = pair.connect();
    send(&mut frontend, b"later ones are whole");
    expect(&mut backend, 20);
}

#[test]
fn a_reset_reaches_both_sides_as_a_reset() {
    let pair = Pair::new();
    let (mut frontend, mut backend) = pair.connect();
    send(&mut frontend, b"1");
    expect(&mut backend, 1);
    pair.relay.reset();
    for side in [&mut frontend, &mut backend] {
        assert_eq!(side.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    let (mut frontend, mut backend) = pair.connect();
    send(&mut frontend, b"later ones are whole");
    expect(&mut backend, 20);
}

#[test]
fn a_reset_by_one_neighbour_is_passed_on() {
    let pair = Pair::new();
    let (mut frontend, backend) = pair.connect();
    send(&mut frontend, b"unread");
    // Closing with unread bytes makes the kernel answer with RST.
    backend.peek(&mut [0; 6]).unwrap();
    drop(backend);
    assert_eq!(frontend.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_stalled_direction_delivers_nothing_until_it_resumes() {
    let pair = Pair::new();
    let (mut frontend, mut backend) = pair.connect();
    pair.relay.stall(Direction::TowardsBackend);
    send(&mut frontend, b"held");
    send(&mut backend, b"the other way is free");
    expect(&mut frontend, 21);
    backend.set_read_timeout(Some(A_MOMENT)).unwrap();
    assert_eq!(backend.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    backend.set_read_timeout(Some(LIMIT)).unwrap();
    pair.relay.resume(Direction::TowardsBackend);
    expect(&mut backend, 4);
}

#[test]
fn refusing_closes_the_port_and_leaves_open_connections_alone() {
    let pair = Pair::new();
    let (mut frontend, mut backend) = pair.connect();
    pair.relay.refuse_new();
    let refused = TcpStream::connect(pair.relay.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    send(&mut frontend, b"still here");
    expect(&mut backend, 10);
    pair.relay.accept_new();
    let (mut frontend, mut backend) = pair.connect();
    send(&mut frontend, b"again");
    expect(&mut backend, 5);
}

#[test]
fn a_swallowed_connection_hears_nothing_and_the_backend_never_knows() {
    let pair = Pair::new();
    pair.relay.new_connections(NewConnections::Swallow);
    let mut frontend = TcpStream::connect(pair.relay.address()).unwrap();
    send(&mut frontend, b"hello?");
    frontend.set_read_timeout(Some(A_MOMENT)).unwrap();
    assert_eq!(frontend.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    pair.backend.set_nonblocking(true).unwrap();
    assert_eq!(pair.backend.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    pair.relay.reset();
    frontend.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(frontend.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn new_connections_can_be_reset_at_once() {
    let pair = Pair::new();
    pair.relay.new_connections(NewConnections::Reset);
    // The reset may arrive before or after connect returns.
    let seen = TcpStream::connect(pair.relay.address()).and_then(|mut stream| {
        stream.set_read_timeout(Some(LIMIT))?;
        stream.read(&mut [0; 1])
    });
    assert_eq!(seen.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_backend_that_refuses_looks_like_a_reset() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let relay = FaultRelay::start(closed);
    let seen = TcpStream::connect(relay.address()).and_then(|mut stream| stream.read(&mut [0; 1]));
    assert_eq!(seen.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn waiting_for_bytes_that_never_come_ends() {
    let pair = Pair::new();
    let (mut frontend, mut backend) = pair.connect();
    send(&mut frontend, b"12345");
    expect(&mut backend, 5);
    pair.relay.wait_for_bytes(Direction::TowardsBackend, 5, LIMIT).unwrap();
    let error = pair.relay.wait_for_bytes(Direction::TowardsBackend, 6, Duration::from_millis(20));
    assert_eq!(error.unwrap_err().to_string(), "5 of 6 bytes passed within 20ms");
}

#[test]
fn dropping_the_relay_closes_its_port_and_its_connections() {
    let pair = Pair::new();
    let address = pair.relay.address();
    let (mut frontend, mut backend) = pair.connect();
    send(&mut frontend, b"1");
    expect(&mut backend, 1);
    drop(pair);
    assert_ended(&mut frontend);
    assert_ended(&mut backend);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn it_can_be_started_watched_and_dropped_within_an_async_test() {
    let pair = Pair::new();
    let (mut frontend, _backend) = pair.connect();
    send(&mut frontend, b"12345");
    let passed = pair.relay.passed(Direction::TowardsBackend, 5);
    tokio::time::timeout(LIMIT, passed).await.unwrap();
    pair.relay.wait_for_bytes(Direction::TowardsBackend, 5, LIMIT).unwrap();
    pair.relay.refuse_new();
}

/// A relay and the listener behind it.
struct Pair {
    relay: FaultRelay,
    backend: TcpListener,
}

impl Pair {
    fn new() -> Self {
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream: SocketAddr = backend.local_addr().unwrap();
        Self { relay: FaultRelay::start(upstream), backend }
    }

    fn connect(&self) -> (TcpStream, TcpStream) {
        let frontend = TcpStream::connect(self.relay.address()).unwrap();
        let (backend, _) = self.backend.accept().unwrap();
        for side in [&frontend, &backend] {
            side.set_read_timeout(Some(LIMIT)).unwrap();
        }
        (frontend, backend)
    }
}

fn send(to: &mut TcpStream, bytes: &[u8]) {
    to.write_all(bytes).unwrap();
}

fn expect(from: &mut TcpStream, length: usize) {
    from.read_exact(&mut vec![0; length]).unwrap();
}

/// The peer is gone: in an orderly way, or because it left bytes unread.
fn assert_ended(stream: &mut TcpStream) {
    match stream.read(&mut [0; 1]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("still open: {other:?}"),
    }
}
