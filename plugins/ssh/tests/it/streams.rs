//! Bytes through a channel.

use std::num::NonZeroU16;
use std::sync::Arc;

use pgferry_transport_sdk::Status;
use pgferry_transport_ssh::config::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use crate::databases::{self, counter, deaf, echo, flood};
use crate::sshd::Sshd;
use crate::world::{LIMIT, Session, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_travel_both_ways_unharmed() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let Session { near, carried } = transport.open("127.0.0.1", echo().await).await.unwrap();
    let (mut reader, mut writer) = near.into_split();
    let sent = noise(16 << 20);
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    timeout(LIMIT, reader.read_to_end(&mut received)).await.unwrap().unwrap();
    assert!(received == expected, "{} bytes came back", received.len());
    writing.await.unwrap();
    carried.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_half_close_by_the_application_reaches_the_database_and_its_answer_comes_back() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let mut session = transport.open("localhost", counter().await).await.unwrap();
    session.near.write_all(&vec![0; 12_345]).await.unwrap();
    session.near.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, session.near.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "12345");
    session.carried.await.unwrap().unwrap();
}

#[tokio::test]
async fn after_a_half_close_by_the_database_the_application_can_still_send() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let port = databases::server(move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            stream.shutdown().await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            tell.lock().await.take().unwrap().send(all.len()).unwrap();
        }
    });
    let mut session = transport.open("127.0.0.1", port.await).await.unwrap();
    let end = timeout(LIMIT, session.near.read(&mut [0; 16])).await.unwrap().unwrap();
    assert_eq!(end, 0);
    session.near.write_all(&vec![0; 54_321]).await.unwrap();
    session.near.shutdown().await.unwrap();
    assert_eq!(timeout(LIMIT, told).await.unwrap().unwrap(), 54_321);
    session.carried.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_session_closes_the_connection_to_the_database() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let port = databases::server(move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            let block = [0; 1024];
            while stream.write_all(&block).await.is_ok() {}
            tell.lock().await.take().unwrap().send(()).unwrap();
        }
    });
    let session = transport.open("127.0.0.1", port.await).await.unwrap();
    session.carried.abort();
    drop(session.near);
    timeout(LIMIT, told).await.expect("the database still has a client").unwrap();
}

#[tokio::test]
async fn a_killed_bastion_ends_every_session_with_a_reason() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let first = transport.open("127.0.0.1", echo().await).await.unwrap();
    let second = transport.open("127.0.0.1", deaf().await).await.unwrap();
    sshd.kill_connections();
    for session in [first, second] {
        let error = session.end().await;
        assert_eq!(error.status(), Status::UNREACHABLE);
        let expected = format!("connection to bastion 127.0.0.1:{} lost: ", sshd.port());
        assert!(error.message().starts_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn an_upload_that_nobody_takes_ends_too_when_the_bastion_dies() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let session = transport.open("127.0.0.1", deaf().await).await.unwrap();
    let Session { near, carried } = session;
    let (reader, mut writer) = near.into_split();
    // More than all buffers and windows on the way hold, so that the last write has to wait.
    let block = vec![0; 1 << 20];
    while timeout(std::time::Duration::from_millis(500), writer.write_all(&block)).await.is_ok() {}
    sshd.kill_connections();
    let ended = timeout(LIMIT, carried).await.expect("the session hangs").unwrap();
    assert!(ended.unwrap_err().message().contains("lost"));
    drop(reader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_held_up_by_a_session_that_is_not_read_gets_no_new_ones() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let _unread = transport.open("127.0.0.1", flood().await).await.unwrap();
    let port = echo().await;
    let newest = async {
        loop {
            // Those that open before the connection is held up are held up with it.
            let session = transport.open("127.0.0.1", port).await.unwrap();
            if transport.dials() > 1 {
                return session;
            }
        }
    };
    let mut newest = timeout(LIMIT, newest).await.expect("all went to the same connection");
    round_trip(&mut newest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_beside_one_that_pauses_go_on_and_it_loses_nothing() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let port = echo().await;
    let mut beside = transport.open("127.0.0.1", port).await.unwrap();
    let mut paused = transport.open("127.0.0.1", burst().await).await.unwrap();
    for _ in 0..1000 {
        round_trip(&mut beside).await;
    }
    assert_eq!(sshd.connections(), 1);
    let mut received = vec![0; BURST];
    timeout(LIMIT, paused.near.read_exact(&mut received)).await.expect("it hangs").unwrap();
    assert!(received == noise(BURST));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_on_connections_of_their_own_do_not_wait_for_one_that_is_not_read() {
    let sshd = Sshd::start();
    let config = Config { sessions_per_connection: NonZeroU16::new(1), ..sshd.config() };
    let transport = World::default().transport(config);
    let port = echo().await;
    let mut before = transport.open("127.0.0.1", port).await.unwrap();
    let (unread, after) =
        tokio::join!(transport.open("127.0.0.1", flood().await), transport.open("127.0.0.1", port));
    let (_unread, mut after) = (unread.unwrap(), after.unwrap());
    for _ in 0..1000 {
        round_trip(&mut before).await;
        round_trip(&mut after).await;
    }
    assert_eq!(sshd.connections(), 3);
}

async fn round_trip(session: &mut Session) {
    session.near.write_all(b"x").await.unwrap();
    let answer = timeout(LIMIT, session.near.read_u8()).await.expect("the session hangs");
    assert_eq!(answer.unwrap(), b'x');
}

/// More than fits between the database and a session that does not read.
const BURST: usize = 32 * 1024 * 1024;

/// A database that sends [`BURST`] bytes and then waits until the session ends.
async fn burst() -> u16 {
    databases::server(|mut stream| async move {
        stream.write_all(&noise(BURST)).await.unwrap();
        stream.read_u8().await.ok();
    })
    .await
}

/// Bytes without a pattern that a mistake could hide in.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(len)
    .collect()
}
