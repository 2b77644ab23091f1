//! Sessions that carry one connection as it is, to a port of the node itself.

use pgferry_simulators::{SessionEnd, SessionState};
use pgferry_transport_sdk::Status;
use pgferry_transport_ssm::destination::Destination;
use pgferry_transport_ssm::pool::Order;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::streams::noise;
use crate::world::{LIMIT, NODE, World, client, echo, nobody, order};

fn config(more: &str) -> String {
    format!(r#"{{"instance": "{NODE}", "document": "AWS-StartSSHSession"{more}}}"#)
}

fn to_port(port: u16) -> Order {
    Order { to: Destination::on_the_node(port), ..order("") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_session_carries_one_connection_and_ends_with_it() {
    let world = World::new().await;
    let pool = world.pool(&config(""));
    let port = echo().await.port();
    let mut client = client(&pool, &to_port(port)).await;
    client.echoes(b"SSH-2.0-pgferry").await;
    client.echoes(b"\n").await;
    client.echoes(&noise(100_000)).await;
    client.close().await;
    world.until(|sessions| sessions.iter().all(pgferry_simulators::SessionRecord::ended));
    let session = &world.sessions.sessions()[0];
    assert_eq!(session.document, "AWS-StartSSHSession");
    assert_eq!((session.host.as_deref(), session.port), (None, port));
    // The flag and the call are sent at the same time.
    let ended = [SessionEnd::Flag, SessionEnd::Call].map(SessionState::Ended);
    assert!(ended.contains(&session.state), "{session:?}");
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_sessions_are_never_shared_nor_opened_ahead_of_need() {
    let world = World::new().await;
    let pool = world.pool(&config(r#", "max_sessions": 2"#));
    let order = to_port(echo().await.port());
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(client(&pool, &order).await);
    }
    for client in &mut clients {
        client.echoes(b"SSH-2.0-pgferry").await;
    }
    let streams: Vec<_> = world.sessions.sessions().iter().map(|session| session.streams).collect();
    assert_eq!(streams, [1, 1, 1, 1]);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_port_says_comes_before_its_end() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let pool = world.pool(&config(""));
    let said = noise(400_000);
    let saying = tokio::spawn({
        let said = said.clone();
        async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            socket.write_all(&said).await.expect("room");
        }
    });
    let mut client = client(&pool, &to_port(port)).await;
    let mut heard = Vec::new();
    timeout(LIMIT, client.near.read_to_end(&mut heard)).await.expect("in time").expect("an end");
    assert!(heard == said, "{} of {} bytes, or others", heard.len(), said.len());
    saying.await.expect("no panic");
    client.close().await;
    world.until(|sessions| sessions[0].state == SessionState::Ended(SessionEnd::TargetClosed));
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_words_arrive_before_the_session_is_ended() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let pool = world.pool(&config(""));
    let mut client = client(&pool, &to_port(port)).await;
    let (mut socket, _) = listener.accept().await.expect("a connection");
    socket.write_all(b"SSH-2.0-server").await.expect("room");
    let mut greeting = [0; 14];
    client.near.read_exact(&mut greeting).await.expect("a greeting");
    let said = noise(60_000);
    client.near.write_all(&said).await.expect("room");
    drop(client.near);
    let mut heard = Vec::new();
    timeout(LIMIT, socket.read_to_end(&mut heard)).await.expect("in time").expect("an end");
    assert!(heard == said, "{} of {} bytes, or others", heard.len(), said.len());
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_session_is_resumed_like_any_other() {
    let world = World::new().await;
    let pool = world.pool(&config(""));
    let mut client = client(&pool, &to_port(echo().await.port())).await;
    client.echoes(b"before").await;
    world.sessions.close_websockets(1000, "Bye");
    client.echoes(b"between").await;
    world.sessions.reset_websockets();
    client.echoes(&noise(20_000)).await;
    assert_eq!(world.sessions.sessions().len(), 1);
    assert!(world.sessions.sessions()[0].resumed >= 2);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_the_node_at_which_nobody_listens_is_named() {
    let world = World::new().await;
    let pool = world.pool(&config(""));
    let port = nobody().port();
    // The agent may say so before the open is answered, or after.
    let error = match pool.open(&to_port(port)).await {
        Err(error) => error,
        Ok(connection) => {
            let (near, far) = tokio::net::UnixStream::pair().expect("a pair");
            let error = connection.carry(far).await.expect_err("a reason");
            drop(near);
            error
        }
    };
    assert_eq!(error.status(), Status::UNREACHABLE, "{error}");
    let words =
        format!("could not connect to localhost:{port}: check the port, and that something");
    assert!(error.message().contains(&words), "{error}");
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_session_that_is_ended_from_outside_says_why() {
    let world = World::new().await;
    let pool = world.pool(&config(""));
    let mut client = client(&pool, &to_port(echo().await.port())).await;
    client.echoes(b"SSH-2.0-pgferry").await;
    world.sessions.fail_session(&world.sessions.sessions()[0].id, "Ended by an administrator");
    assert!(client.fate().await.message().contains("Ended by an administrator"));
    world.end(&pool).await;
}
