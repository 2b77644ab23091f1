//! One bastion connection for all, from its first use to its end.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::time::Duration;

use pgferry_transport_sdk::{State, Status};
use pgferry_transport_ssh::bastion::Destination;
use pgferry_transport_ssh::config::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::databases::echo;
use crate::sshd::Sshd;
use crate::world::{LIMIT, Session, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_sessions_opened_at_once_share_one_connection() {
    let sshd = Sshd::start();
    let transport = std::sync::Arc::new(World::default().transport(sshd.config()));
    let port = echo().await;
    let mut opening = tokio::task::JoinSet::new();
    for number in 0..20_u8 {
        let transport = std::sync::Arc::clone(&transport);
        opening.spawn(async move {
            let mut session = transport.open("127.0.0.1", port).await.unwrap();
            session.near.write_all(&[number]).await.unwrap();
            assert_eq!(session.near.read_u8().await.unwrap(), number);
            session
        });
    }
    let sessions = timeout(LIMIT, opening.join_all()).await.unwrap();
    assert_eq!((sessions.len(), sshd.connections(), transport.dials()), (20, 1, 1));
}

#[tokio::test]
async fn a_client_that_gives_up_does_not_stop_the_attempt_for_others() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let port = echo().await;
    {
        // Polled once, it has begun the attempt; then it is dropped.
        let impatient = transport.open("127.0.0.1", port);
        tokio::pin!(impatient);
        tokio::select! {
            biased;
            _ = &mut impatient => panic!("no bastion is that fast"),
            () = std::future::ready(()) => {}
        }
    }
    transport.open("127.0.0.1", port).await.unwrap();
    assert_eq!(transport.dials(), 1);
}

#[tokio::test]
async fn a_connection_without_sessions_is_closed_after_the_limit_and_made_anew() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let port = echo().await;
    let mut to = Destination::new("127.0.0.1", port, LIMIT);
    to.idle_limit = Duration::from_millis(50);
    let mut session = transport.open_to(&to).await.unwrap();
    assert_eq!(transport.next_state().await.0, State::Up);
    session.near.shutdown().await.unwrap();
    session.near.read_to_end(&mut Vec::new()).await.unwrap();
    let (state, text) = transport.next_state().await;
    assert_eq!(state, State::Down);
    assert!(text.ends_with("closed, since no session used it"), "{text}");
    transport.open_to(&to).await.unwrap();
    assert_eq!((transport.next_state().await.0, transport.dials()), (State::Up, 2));
}

#[tokio::test]
async fn after_the_bastion_died_the_next_session_gets_a_new_connection() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let port = echo().await;
    let first = transport.open("127.0.0.1", port).await.unwrap();
    assert_eq!(transport.next_state().await.0, State::Up);
    sshd.kill_connections();
    // Without waiting for anybody to notice.
    transport.open("127.0.0.1", port).await.unwrap();
    assert!(first.end().await.message().contains("lost"));
    assert_eq!((transport.dials(), sshd.connections()), (2, 2));
}

#[tokio::test]
async fn closing_the_transport_ends_its_sessions_with_a_reason() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let session = transport.open("127.0.0.1", echo().await).await.unwrap();
    timeout(LIMIT, transport.close()).await.unwrap();
    assert!(session.end().await.message().ends_with("the transport is shutting down"));
}

#[tokio::test]
async fn a_server_that_does_not_speak_ssh_is_recognised() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[b'x'; 4096]).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await
    });
    let sshd = Sshd::start();
    let config = Config { port: NonZeroU16::new(port), ..sshd.config() };
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::PROTOCOL);
    assert_eq!(
        error.message(),
        format!("what listens at bastion 127.0.0.1:{port} is not an SSH server")
    );
}

#[tokio::test]
async fn a_bastion_that_falls_silent_is_given_up_at_the_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-silent\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let sshd = Sshd::start();
    let transport =
        World::default().transport(Config { port: NonZeroU16::new(port), ..sshd.config() });
    let to = Destination::new("127.0.0.1", 1, Duration::from_millis(300));
    let error = transport.open_to(&to).await.err().expect("nobody is there");
    assert_eq!(error.status(), Status::TIMEOUT);
    timeout(LIMIT, silent).await.expect("the socket is still open").unwrap();
}

#[tokio::test]
async fn a_bastion_that_freezes_is_replaced_for_the_next_session() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let port = echo().await;
    let Session { near, carried } = transport.open("127.0.0.1", port).await.unwrap();
    sshd.freeze_connections();
    transport.open("127.0.0.1", port).await.unwrap();
    assert_eq!(transport.dials(), 2);
    assert!(!carried.is_finished(), "its keepalives decide about the old connection");
    drop(near);
}
