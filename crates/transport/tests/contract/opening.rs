//! Opens that go as they should, and opens that are given up.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use pgferry_transport::{Connection, InstanceSpec, Status};
use tokio::time::{Instant, timeout};

use crate::harness::{compile, hostile_spec, listener, request, start};

/// The connection as a blocking stream.
fn blocking(connection: Connection) -> TcpStream {
    let stream = TcpStream::from(connection.socket);
    stream.set_nonblocking(false).unwrap();
    stream
}

#[tokio::test]
async fn a_handed_over_socket_carries_bytes_both_ways() {
    let (_dir, path) = compile("handover", "handover", &[]);
    let spec = InstanceSpec { path: Some(path), ..InstanceSpec::new("plain", "handover") };
    let (transports, _) = start(vec![spec]);
    let (server, port) = listener();
    let instance = transports.instance("plain").unwrap();
    let mut ours = blocking(instance.open(request("", port)).await.unwrap());
    let (mut theirs, _) = server.accept().unwrap();
    ours.write_all(b"ping").unwrap();
    let mut four = [0; 4];
    theirs.read_exact(&mut four).unwrap();
    theirs.write_all(&four).unwrap();
    ours.read_exact(&mut four).unwrap();
    assert_eq!(&four, b"ping");
    drop(ours);
    transports.shutdown().await;
    assert_eq!(theirs.read(&mut four).unwrap(), 0);
}

#[tokio::test]
async fn direct_connects_and_its_errors_carry_its_name() {
    let (transports, _) = start(vec![InstanceSpec::new("straight", "direct")]);
    let instance = transports.instance("straight").unwrap();
    let (server, port) = listener();
    let mut connection = instance.open(request("", port)).await.unwrap();
    assert_eq!(connection.closed.wait(Duration::from_mins(1)).await, None);
    drop(server);
    let error = instance.open(request("", port)).await.unwrap_err();
    assert_eq!(error.status, Status::Unreachable);
    assert!(error.message.starts_with("transport straight (direct "), "{error}");
}

#[tokio::test]
async fn an_error_brings_its_hint_and_when_to_try_again() {
    let (transports, _) = start(vec![hostile_spec("h")]);
    let error = transports.instance("h").unwrap().open(request("throttled", 1)).await.unwrap_err();
    assert_eq!(error.status, Status::Throttled);
    assert_eq!(error.message, "transport h (hostile 0.1): slow down");
    assert_eq!(error.hint.as_deref(), Some("fewer sessions"));
    assert_eq!(error.retry_after, Some(Duration::from_millis(1500)));
}

#[tokio::test]
async fn why_a_stream_ended_is_known_to_its_holder() {
    let (transports, _) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    let mut connection = instance.open(request("why", 1)).await.unwrap();
    assert_eq!(connection.detail.via.as_deref(), Some("bastion"));
    for _ in 0..2 {
        let closed = connection.closed.wait(Duration::from_mins(1)).await.unwrap();
        assert_eq!(closed.status, Status::Unreachable);
        assert_eq!(closed.message, "transport h (hostile 0.1): the bastion went away");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_that_is_never_answered_ends_with_its_limit() {
    let (transports, _) = start(vec![hostile_spec("h")]);
    let begun = Instant::now();
    let error = transports.instance("h").unwrap().open(request("never", 1)).await.unwrap_err();
    assert_eq!(error.status, Status::Timeout);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_an_abandoned_open_has_its_socket_closed() {
    let (transports, mut reports) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    let (server, port) = listener();
    let open = instance.open(request("never", port));
    assert!(timeout(Duration::from_millis(500), open).await.is_err());
    reports.wait_for("abandoned: h").await;
    let error = instance.open(request("answer-last", port)).await.unwrap_err();
    assert!(error.message.ends_with("answered the last one"), "{error}");
    let (mut late, _) = server.accept().unwrap();
    assert_eq!(late.read(&mut [0]).unwrap(), 0);
    assert!(!reports.had("violation"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_an_open_cancels_it() {
    let (transports, mut reports) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    let open = instance.open(request("block", 1));
    assert!(timeout(Duration::from_millis(300), open).await.is_err());
    // The blocked call would keep the instance from being destroyed.
    timeout(Duration::from_secs(4), transports.shutdown()).await.unwrap();
    assert!(!reports.had("abandoned"));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_answers_an_open_that_is_under_way() {
    let (transports, _) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    let opening = tokio::spawn(async move { instance.open(request("block", 1)).await });
    let instance = transports.instance("h").unwrap();
    // The next open is answered after the first was started.
    instance.open(request("throttled", 1)).await.unwrap_err();
    timeout(Duration::from_secs(4), transports.shutdown()).await.unwrap();
    let error = opening.await.unwrap().unwrap_err();
    assert_eq!(error.status, Status::Cancelled);
    let error = instance.open(request("ok", 1)).await.unwrap_err();
    assert!(error.message.ends_with("shutting down"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_cap_on_opens_is_named_when_it_is_the_obstacle() {
    let spec = InstanceSpec { max_concurrent_opens: 1, ..hostile_spec("h") };
    let (transports, _) = start(vec![spec]);
    let instance = transports.instance("h").unwrap();
    let mut patient = request("never", 1);
    patient.limit = Duration::from_mins(1);
    let (first, second) =
        tokio::join!(biased; instance.open(patient), instance.open(request("ok", 1)));
    assert!(first.unwrap_err().message.contains("no answer within 60s"));
    let second = second.unwrap_err();
    assert_eq!(second.status, Status::Timeout);
    assert!(second.message.contains("1 opens are under way"), "{second}");
    assert!(second.message.contains("max_opens"), "{second}");
}
