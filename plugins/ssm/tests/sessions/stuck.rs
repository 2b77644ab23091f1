//! An application that does not read what it has asked for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::streams::noise;
use crate::world::{Client, LIMIT, NODE, World, connect};

#[tokio::test(flavor = "multi_thread")]
async fn others_go_on_beside_a_session_that_is_stuck_and_nothing_of_it_is_lost() {
    // More than all the buffers on the way hold.
    let result = Arc::new(noise(48_000_000));
    let world = World::new().await;
    let (address, mut written) = database(Arc::clone(&result)).await;
    world.sessions.names(&[("db.internal", address)]);
    world.sessions.agent_rest(Duration::ZERO);
    let config = format!(r#"{{"instance": "{NODE}", "open_ahead": false, "max_sessions": 3}}"#);
    let pool = world.pool(&config);
    let mut stuck = connect(&pool).await;
    stuck.near.write_all(RESULT).await.expect("room");
    let much = timeout(LIMIT * 4, written.wait_for(|bytes| *bytes > 24_000_000)).await;
    much.expect("in time").expect("a database");

    // With the stuck one more than there may be sessions.
    let mut others = [connect(&pool).await, connect(&pool).await, connect(&pool).await];
    let mut took = Vec::new();
    for _ in 0..100 {
        for other in &mut others {
            let began = Instant::now();
            other.echoes(b"SELECT 1").await;
            took.push(began.elapsed());
        }
    }
    took.sort();
    assert!(took[took.len() * 99 / 100] < BRIEF, "{took:?}");
    assert_eq!(world.sessions.sessions()[0].open_streams, 1, "the stuck one is left alone");
    let count = world.sessions.sessions().len();
    assert!((3..=4).contains(&count), "{count}: three, and one in place of the stuck one");

    assert!(*written.borrow() < result.len(), "the database itself waits for the stuck one");
    assert!(read(&mut stuck, result.len()).await == *result, "other bytes than were sent");
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_in_the_same_session_go_on_while_the_result_is_not_too_large() {
    let result = Arc::new(noise(10_000_000));
    let world = World::new().await;
    world.sessions.names(&[("db.internal", database(Arc::clone(&result)).await.0)]);
    world.sessions.agent_rest(Duration::ZERO);
    let config = format!(r#"{{"instance": "{NODE}", "open_ahead": false, "max_sessions": 1}}"#);
    let pool = world.pool(&config);
    let mut stuck = connect(&pool).await;
    let mut other = connect(&pool).await;
    stuck.near.write_all(RESULT).await.expect("room");
    for _ in 0..50 {
        other.echoes(b"SELECT 1").await;
    }
    assert!(read(&mut stuck, result.len()).await == *result, "other bytes than were sent");
    other.echoes(b"SELECT 2").await;
    assert_eq!(world.sessions.sessions().len(), 1);
    world.end(&pool).await;
}

/// A database that answers one word with `result`, and says everything else back. Also how much it has written.
async fn database(result: Arc<Vec<u8>>) -> (SocketAddr, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (written, seen) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket, Arc::clone(&result), written.clone()));
        }
    });
    (address, seen)
}

async fn answer(mut socket: TcpStream, result: Arc<Vec<u8>>, written: watch::Sender<usize>) {
    let mut said = [0; 1024];
    while let Ok(length @ 1..) = socket.read(&mut said).await {
        let said = said.get(..length).unwrap_or_default();
        let answer = if said == RESULT { result.as_slice() } else { said };
        for piece in answer.chunks(64 * 1024) {
            if socket.write_all(piece).await.is_err() {
                return;
            }
            written.send_modify(|bytes| *bytes += piece.len());
        }
    }
}

async fn read(client: &mut Client, length: usize) -> Vec<u8> {
    let mut heard = vec![0; length];
    timeout(LIMIT * 4, client.near.read_exact(&mut heard))
        .await
        .expect("in time")
        .expect("all of it");
    heard
}

const RESULT: &[u8] = b"TABLE everything";
/// A busy machine takes a hundredth of it; one that waits for the stuck reader takes for ever.
const BRIEF: Duration = Duration::from_secs(5);
