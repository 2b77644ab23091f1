//! What plugins get wrong, and what the host makes of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use pgferry_transport::{Instance, Status};

use crate::harness::{Reports, hostile_spec, listener, request, start};

/// Opens with a trick and expects the socket to be refused, the plugin to be blamed and the instance
/// to go on.
async fn refuses_socket(trick: &str, why: &str) {
    let (transports, mut reports) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    let (_server, port) = listener();
    let error = instance.open(request(trick, port)).await.unwrap_err();
    assert_eq!(error.status, Status::Internal, "{error}");
    assert!(error.message.contains(why), "{error}");
    assert!(reports.wait_for("violation").await.contains(why));
    instance.open(request("ok", port)).await.unwrap();
}

#[tokio::test]
async fn a_regular_file_is_no_connection() {
    refuses_socket("file", "is not a socket").await;
}

#[tokio::test]
async fn a_datagram_socket_is_no_connection() {
    refuses_socket("udp", "is not a stream socket").await;
}

#[tokio::test]
async fn a_listening_socket_is_no_connection() {
    refuses_socket("listening", "is listening").await;
}

#[tokio::test]
async fn an_unconnected_socket_is_no_connection() {
    refuses_socket("fresh", "is not connected").await;
}

#[tokio::test]
async fn ok_without_a_socket_is_no_connection() {
    refuses_socket("none", "no socket").await;
}

#[tokio::test]
async fn a_closed_socket_is_no_connection() {
    refuses_socket("closed", "is not an open descriptor").await;
}

async fn is_disabled(instance: &Instance, reports: &mut Reports, violation: &str) {
    let report = reports.wait_for("violation").await;
    assert!(report.contains(violation), "{report}");
    let error = instance.open(request("ok", 1)).await.unwrap_err();
    assert_eq!(error.status, Status::Internal);
    assert!(error.message.contains("disabled"), "{error}");
    assert!(error.message.contains(violation), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("restart")));
}

#[tokio::test]
async fn a_second_answer_disables_the_instance_and_leaves_the_first_socket_alone() {
    let (transports, mut reports) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    let (server, port) = listener();
    let connection = instance.open(request("twice", port)).await.unwrap();
    let (mut theirs, _) = server.accept().unwrap();
    is_disabled(&instance, &mut reports, "answered an op twice").await;
    let mut ours = TcpStream::from(connection.socket);
    ours.write_all(b"!").unwrap();
    theirs.read_exact(&mut [0]).unwrap();
}

#[tokio::test]
async fn an_answer_to_an_op_that_never_was_disables_the_instance() {
    let (transports, mut reports) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    let (_server, port) = listener();
    // The number it then gives for its own op was not touched, so that answer still counts.
    instance.open(request("stranger", port)).await.unwrap();
    is_disabled(&instance, &mut reports, "not open").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_socket_given_away_for_a_second_op_stays_with_the_first() {
    let (transports, mut reports) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    let (_server, port) = listener();
    let first = instance.open(request("same-socket", port)).await.unwrap();
    instance.open(request("same-socket", port)).await.unwrap_err();
    is_disabled(&instance, &mut reports, "handed over before").await;
    assert!(TcpStream::from(first.socket).peer_addr().is_ok());
}

#[tokio::test(start_paused = true)]
async fn three_panics_hold_the_instance_down_for_a_while() {
    let (transports, mut reports) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    for _ in 0..3 {
        let error = instance.open(request("panic", 1)).await.unwrap_err();
        assert!(error.message.ends_with("index out of bounds"), "{error}");
    }
    reports.wait_for("state down").await;
    let (_server, port) = listener();
    let error = instance.open(request("ok", port)).await.unwrap_err();
    assert!(error.message.contains("held down"), "{error}");
    assert!((29..=30).contains(&error.retry_after.unwrap().as_secs()));
    tokio::time::advance(Duration::from_secs(30)).await;
    instance.open(request("ok", port)).await.unwrap();
    reports.wait_for("state up").await;
}

#[tokio::test]
async fn a_wrong_configuration_found_late_disables_the_instance_with_its_reason() {
    let (transports, _) = start(vec![hostile_spec("h")]);
    let instance = transports.instance("h").unwrap();
    let first = instance.open(request("config", 1)).await.unwrap_err();
    let second = instance.open(request("ok", 1)).await.unwrap_err();
    assert_eq!((first.status, first.hint.as_deref()), (Status::Config, Some("set key")));
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_call_after_destroy_touches_nothing() {
    let (transports, mut reports) = start(vec![hostile_spec("old")]);
    transports.shutdown().await;
    assert!(!reports.had("violation"));
    let (transports, _) = start(vec![hostile_spec("new")]);
    let (server, port) = listener();
    let instance = transports.instance("new").unwrap();
    let error = instance.open(request("dead", port)).await.unwrap_err();
    assert!(error.message.ends_with("called the dead"), "{error}");
    let (mut left_alone, _) = server.accept().unwrap();
    left_alone.set_nonblocking(true).unwrap();
    let read = left_alone.read(&mut [0]).unwrap_err();
    assert_eq!(read.kind(), std::io::ErrorKind::WouldBlock);
}
