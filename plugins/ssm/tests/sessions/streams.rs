//! Bytes on their way to the database and back.

use std::io::Write as _;

use pgferry_simulators::{Authority, Direction, Disorder};
use tokio::io::AsyncReadExt as _;

use crate::world::{NODE, World, connect};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_reach_the_database_and_come_back() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    client.echoes(&noise(100_000)).await;
    client.close().await;
    let session = &world.sessions.sessions()[0];
    assert_eq!((session.target.as_str(), session.port), (NODE, 5432));
    assert_eq!(session.host.as_deref(), Some("db.internal"));
    assert_eq!(session.document, "AWS-StartPortForwardingSessionToRemoteHost");
    assert_eq!(session.reason.as_deref(), Some("pgferry"));
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_come_whole_and_in_order_over_a_bad_line() {
    let world = World::new().await;
    let disorder = Disorder { lose: 0.03, duplicate: 0.05, reorder: 0.1 };
    world.sessions.disturb(Direction::TowardsBackend, disorder);
    world.sessions.disturb(Direction::TowardsFrontend, disorder);
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(&noise(60_000)).await;
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_channel_is_verified_with_the_authorities_of_the_bundle() {
    let mut world = World::new().await;
    let authority = Authority::new("a network that inspects TLS").expect("an authority");
    let certificate = authority.issue(&["localhost"]).expect("a certificate");
    let port = world.aws.serve_tls(&certificate).expect("a port").port();
    world.endpoint = Some(format!("https://localhost:{port}"));
    let untrusting = world.modest_pool();
    let error = crate::world::refusal(&untrusting, &crate::world::order("db.internal")).await;
    assert!(error.message().contains("not reachable"), "{error}");

    let mut bundle = tempfile::NamedTempFile::new().expect("a file");
    bundle.write_all(authority.pem().as_bytes()).expect("a bundle");
    world.ca_bundle = bundle.path().to_str().map(str::to_owned);
    let pool = world.modest_pool();
    connect(&pool).await.echoes(b"over TLS").await;
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_databases_end_of_a_connection_is_passed_on() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    world.sessions.names(&[("db.internal", listener.local_addr().expect("an address"))]);
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    let (mut database, _) = listener.accept().await.expect("a connection");
    tokio::io::AsyncWriteExt::write_all(&mut database, b"bye").await.expect("a last word");
    drop(database);
    let mut heard = Vec::new();
    client.near.read_to_end(&mut heard).await.expect("an end");
    assert_eq!(heard, b"bye");
    client.close().await;
    world.end(&pool).await;
}

/// Bytes that are no two the same way round.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0]).collect()
}
