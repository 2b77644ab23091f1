//! Orderly ends.

use pgferry_simulators::{SessionEnd, SessionState};
use tokio::time::timeout;

use crate::world::{LIMIT, World, connect, order};

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_transport_ends_its_sessions_and_tells_its_connections() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    timeout(LIMIT, pool.close()).await.expect("an end");
    assert!(client.fate().await.message().contains("shutting down"));
    let state = world.sessions.sessions()[0].state.clone();
    let ended = SessionState::Ended(SessionEnd::Flag);
    assert!(state == ended || state == SessionState::Ended(SessionEnd::Call), "{state:?}");
    assert_eq!(world.aws.count("ssm:TerminateSession"), 1);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_only_being_started_is_ended_too() {
    let world = World::new().await;
    world.sessions.black_hole(true);
    let pool = world.modest_pool();
    let opening = tokio::spawn({
        let pool = pool.clone();
        async move { pool.open(&order("db.internal")).await.map(drop) }
    });
    assert!(tokio::task::block_in_place(|| world.sessions.wait_for_sessions(1, LIMIT)));
    let closing = tokio::spawn({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    world.sessions.black_hole(false);
    timeout(LIMIT, closing).await.expect("an end").expect("no panic");
    assert!(opening.await.expect("no panic").is_err());
    world.end(&pool).await;
}
