//! What the program is told of sessions.

use pgferry_simulators::{Direction as Towards, Fault};
use pgferry_transport_ssm::figure::{Direction, Figure, Resume, Start};

use crate::streams::noise;
use crate::world::{LIMIT, World, connect, order, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn sessions_breaks_and_bytes_are_counted() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(&noise(10_000)).await;
    world.counts(Figure::Sessions, 1);
    world.counts(Figure::Start(Start::Ok), 1);
    world.sessions.close_websockets(1000, "Bye");
    client.echoes(&noise(10_000)).await;
    world.counts(Figure::Loss, 1);
    world.counts(Figure::Resume(Resume::Ok), 1);
    let interruption = world.figure(Figure::Interruption);
    assert!(interruption > 0.0 && interruption < 30.0, "{interruption}");
    world.end(&pool).await;
    world.counts(Figure::Sessions, 0);
    for direction in [Direction::Rx, Direction::Tx] {
        let bytes = world.figure(Figure::Bytes(direction));
        // With frames around them, and the handshake.
        assert!((20_000.0..25_000.0).contains(&bytes), "{direction:?}: {bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_go_twice_are_counted() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    world.sessions.lose_messages(Towards::TowardsBackend, 1);
    world.sessions.lose_receipts(Towards::TowardsBackend, 1);
    client.echoes(&noise(3_000)).await;
    world.until(|sessions| sessions[0].repeats > 0);
    client.echoes(b"SELECT 2").await;
    world.end(&pool).await;
    assert!(world.figure(Figure::Repetition(Direction::Tx)) >= 1.0);
    assert!(world.figure(Figure::Repetition(Direction::Rx)) >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_may_not_be_started_is_counted_with_the_reason() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    world.aws.allow_only(&world.aws.credentials().access_key_id, &["ssm:Terminate*"]);
    let error = refusal(&world.modest_pool(), &order("db.internal")).await;
    assert!(error.message().contains("ssm:StartSession"), "{error}");
    world.counts(Figure::Start(Start::Denied), 1);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_over_when_it_was_to_be_resumed_is_counted_as_gone() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    // The service does not tell of the end while there is no WebSocket.
    world.aws.inject("ssm:ResumeSession", Fault::Hang, u32::MAX);
    world.sessions.reset_websockets();
    let asked = || world.aws.wait_for_calls("ssm:ResumeSession", 1, LIMIT);
    assert!(tokio::task::block_in_place(asked));
    world.sessions.expire_session(&world.sessions.sessions()[0].id);
    world.aws.clear_faults();
    let error = client.fate().await;
    assert!(error.message().contains("the session is over"), "{error}");
    assert!(error.message().contains("keep_alive"), "{error}");
    world.counts(Figure::Loss, 1);
    world.counts(Figure::Resume(Resume::Gone), 1);
    world.counts(Figure::Resume(Resume::Ok), 0);
    world.end(&pool).await;
}
