//! What the host does on a plugin's behalf.

#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::collections::BTreeMap;

use pgferry_transport::{InstanceSpec, SecretSource, Status};

use crate::harness::{hostile_spec, listener, logged, request, start};

/// The message of an open that the plugin ends with an error.
async fn message(spec: InstanceSpec, trick: &str) -> (Status, String) {
    let (transports, _) = start(vec![spec]);
    let error = transports.instance("h").unwrap().open(request(trick, 1)).await.unwrap_err();
    (error.status, error.message.replace("transport h (hostile 0.1): ", ""))
}

#[tokio::test]
async fn a_granted_secret_reaches_the_plugin_without_its_line_break() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, "hunter2!\n").unwrap();
    let secrets = BTreeMap::from([("key".to_owned(), SecretSource::File(file))]);
    let spec = InstanceSpec { secrets, ..hostile_spec("h") };
    assert_eq!(message(spec, "secret").await.1, "a value of 8 bytes, last !");
}

#[tokio::test]
async fn a_secret_from_the_environment_reaches_the_plugin() {
    let home = env!("CARGO_MANIFEST_DIR");
    let variable = SecretSource::Env("CARGO_MANIFEST_DIR".to_owned());
    let secrets = BTreeMap::from([("key".to_owned(), variable)]);
    let spec = InstanceSpec { secrets, ..hostile_spec("h") };
    let expected = format!("a value of {} bytes, last t", home.len());
    assert_eq!(message(spec, "secret").await.1, expected);
}

#[tokio::test]
async fn a_secret_that_is_not_granted_is_denied() {
    let text = message(hostile_spec("h"), "secret-other").await.1;
    assert!(text.starts_with("the secret \"other\" is not granted to the transport h"), "{text}");
}

#[tokio::test]
async fn a_dial_gives_the_plugin_a_socket() {
    let (transports, _) = start(vec![hostile_spec("h")]);
    let (server, port) = listener();
    let connection = transports.instance("h").unwrap().open(request("dial", port)).await.unwrap();
    let (_, peer) = server.accept().unwrap();
    let ours = std::net::TcpStream::from(connection.socket);
    assert_eq!(ours.local_addr().unwrap(), peer);
}

#[tokio::test]
async fn a_dial_without_a_destination_is_answered_with_an_error() {
    let (status, text) = message(hostile_spec("h"), "dial-nonsense").await;
    assert_eq!((status, text.contains("host and port")), (Status::Internal, true));
}

#[tokio::test]
async fn a_dial_for_nobody_is_refused() {
    assert_eq!(message(hostile_spec("h"), "dial-null").await.1, "dialled for nobody");
}

#[tokio::test]
async fn metrics_and_states_reach_the_observer() {
    let (transports, mut reports) = start(vec![hostile_spec("h")]);
    transports.instance("h").unwrap().open(request("metric", 1)).await.unwrap_err();
    reports.wait_for("metric pgferry_plugin_hostile_tries_total 3").await;
    reports.wait_for("state degraded: slow bastion").await;
    reports.wait_for("violation: it reports the unknown state 17").await;
}

#[tokio::test]
async fn a_log_line_is_one_line_whatever_the_plugin_says() {
    // Listening has to begin before there is something to hear.
    logged();
    let (transports, _) = start(vec![hostile_spec("noisy")]);
    transports.instance("noisy").unwrap().open(request("log", 1)).await.unwrap_err();
    let logged = logged();
    let mut lines = logged.lines().filter(|line| line.contains("instance=\"noisy\""));
    let line = lines.find(|line| line.contains("pgferry::plugin")).unwrap();
    assert!(line.contains("ERROR pgferry::plugin: first second \u{fffd} "), "{line}");
    assert!(line.contains("bastion"), "{line}");
    assert!(!logged.contains("never shown"));
}
