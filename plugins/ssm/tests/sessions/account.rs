//! Who we are to AWS, for longer than one set of credentials lasts, and how often we may ask.

use std::time::{Duration, SystemTime};

use pgferry_simulators::Fault;
use pgferry_transport_sdk::Status;
use pgferry_transport_ssm::figure::{Figure, Start};
use time::OffsetDateTime;

use crate::world::{World, connect, order, refusal};

/// So long from now, as a credential process says it.
fn from_now(time: Duration) -> String {
    #[expect(clippy::disallowed_methods, reason = "the transport has the real time here")]
    let then = OffsetDateTime::from(SystemTime::now() + time);
    let (date, time) = (then.date(), then.time());
    format!("{date}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_kept_until_they_near_their_end() {
    let world = World::new().await;
    let keys = world.aws.credentials().clone();
    let pool = world.modest_pool();
    world.hand_out(&keys, Some(from_now(Duration::from_hours(1))));
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    world.sessions.close_websockets(1000, "Bye");
    client.echoes(b"SELECT 2").await;
    assert_eq!(world.asked(), 1);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_near_their_end_are_asked_for_again() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let keys = world.aws.credentials().clone();
    world.hand_out(&keys, Some(from_now(Duration::from_mins(1))));
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    let asked = world.asked();
    world.hand_out(&keys, Some(from_now(Duration::from_hours(1))));
    world.sessions.close_websockets(1000, "Bye");
    client.echoes(b"SELECT 2").await;
    assert_eq!(world.asked(), asked + 1, "those that last are kept");
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_have_ended_early_are_replaced_and_the_session_goes_on() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let keys = world.aws.add_session("developer", Duration::from_hours(1), &["*"]);
    world.hand_out(&keys, None);
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    world.aws.end_session(&keys.access_key_id);
    let renewed = world.aws.add_session("developer", Duration::from_hours(1), &["*"]);
    world.hand_out(&renewed, None);
    world.sessions.reset_websockets();
    client.echoes(b"SELECT 2").await;
    let refused = world.aws.calls().into_iter().filter_map(|call| call.error);
    assert!(refused.into_iter().any(|code| code.starts_with("ExpiredToken")));
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_have_ended_early_are_replaced_for_the_end_of_a_session_too() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let keys = world.aws.add_session("developer", Duration::from_hours(1), &["*"]);
    world.hand_out(&keys, None);
    connect(&pool).await.echoes(b"SELECT 1").await;
    world.aws.end_session(&keys.access_key_id);
    let renewed = world.aws.add_session("developer", Duration::from_hours(1), &["*"]);
    world.hand_out(&renewed, None);
    world.end(&pool).await;
    let mut ends = world.aws.calls().into_iter().rev();
    let end = ends.find(|call| call.action == "ssm:TerminateSession").expect("a call");
    assert_eq!(end.error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_asks_for_fewer_calls_gets_them_later() {
    let world = World::new().await;
    world.aws.inject("ssm:StartSession", Fault::Throttle, 2);
    let pool = world.modest_pool();
    connect(&pool).await.echoes(b"SELECT 1").await;
    assert_eq!(world.aws.count("ssm:StartSession"), 3);
    assert_eq!(world.sessions.sessions().len(), 1);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_may_have_started_a_session_is_not_made_again() {
    for fault in [Fault::LostAnswer, Fault::InternalAfter] {
        let world = World::new().await;
        world.aws.inject("ssm:StartSession", fault, 1);
        let pool = world.modest_pool();
        let error = refusal(&pool, &order("db.internal")).await;
        assert_eq!(error.status(), Status::UNREACHABLE);
        assert_eq!(world.aws.count("ssm:StartSession"), 1);
        assert_eq!(world.sessions.sessions().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_started_nothing_is_made_again() {
    let world = World::new().await;
    world.aws.inject("ssm:StartSession", Fault::Unavailable, 2);
    let pool = world.modest_pool();
    connect(&pool).await.echoes(b"SELECT 1").await;
    assert_eq!(world.aws.count("ssm:StartSession"), 3);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_takes_longer_than_usual_is_waited_for() {
    let world = World::new().await;
    world.aws.inject("ssm:StartSession", Fault::Hang, 1);
    let pool = world.modest_pool();
    let opening = tokio::spawn({
        let pool = pool.clone();
        async move { pool.open(&order("db.internal")).await.map(drop) }
    });
    let again = || world.aws.wait_for_calls("ssm:StartSession", 2, Duration::from_secs(12));
    assert!(!tokio::task::block_in_place(again), "it was made again meanwhile");
    world.aws.release();
    opening.await.expect("no panic").expect("a session");
    assert_eq!(world.sessions.sessions().len(), 1);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_goes_on_asking_for_fewer_calls_is_named_as_the_reason() {
    let world = World::new().await;
    world.aws.inject("ssm:StartSession", Fault::Throttle, u32::MAX);
    let pool = world.modest_pool();
    let error = refusal(&pool, &order("db.internal")).await;
    assert_eq!(error.status(), Status::THROTTLED);
    assert!(error.message().contains("fewer calls: ssm:StartSession"), "{error}");
    assert!(world.aws.count("ssm:StartSession") <= 4);
    assert!(world.figure(Figure::Start(Start::Throttled)) > 0.0);
    world.end(&pool).await;
}
