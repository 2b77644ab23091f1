//! Orderly ends.

use std::time::Duration;

use pgferry_simulators::{Fault, SessionEnd, SessionState};
use pgferry_transport_sdk::Status;
use pgferry_transport_ssm::pool::Order;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::world::{LIMIT, NODE, World, client, connect, order};

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

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_crashed_ends_its_connections_with_the_reason_and_the_next_has_a_new_one() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let brief = Order { agent_silence: Duration::from_secs(2), ..order("db.internal") };
    let mut client = client(&pool, &brief).await;
    client.echoes(b"SELECT 1").await;
    world.sessions.crash_agent(&world.sessions.sessions()[0].id);
    client.near.write_all(b"SELECT 2").await.expect("room");
    let error = client.fate().await;
    assert_eq!(error.status(), Status::INTERNAL);
    assert!(error.message().contains("is not heard any more"), "{error}");
    let session = &world.sessions.sessions()[0];
    assert!(session.resumed >= 1, "another data channel might have helped");
    connect(&pool).await.echoes(b"SELECT 1").await;
    assert_eq!(world.sessions.sessions().len(), 2);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_that_ends_while_a_node_boots_or_aws_does_not_answer_is_gone_in_five_seconds() {
    for hangs in [false, true] {
        let world = World::new().await;
        if hangs {
            world.aws.inject("ssm:StartSession", Fault::Hang, u32::MAX);
        } else {
            world.sessions.offline(NODE);
        }
        let pool = world.modest_pool();
        let opening = tokio::spawn({
            let pool = pool.clone();
            async move { pool.open(&order("db.internal")).await.map(drop) }
        });
        let called = || world.aws.wait_for_calls("ssm:StartSession", 1, LIMIT);
        assert!(tokio::task::block_in_place(called));
        timeout(SHUTDOWN, pool.close()).await.expect("an end in time");
        let error = opening.await.expect("no panic").expect_err("no session");
        assert!(error.message().contains("shutting down"), "{error}");
        world.aws.clear_faults();
    }
}

/// What the program gives a transport for its end.
const SHUTDOWN: Duration = Duration::from_secs(5);
