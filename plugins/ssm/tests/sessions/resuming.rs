//! `WebSocket`s that break under a session.

use std::time::Duration;

use pgferry_simulators::{Direction, Disorder};
use pgferry_transport_sdk::Status;
use tokio::io::AsyncWriteExt as _;

use crate::streams::noise;
use crate::world::{NODE, World, connect};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_does_not_notice_the_hourly_close_nor_a_reset() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"before").await;
    world.sessions.close_websockets(1000, "Bye");
    client.echoes(b"between").await;
    world.sessions.reset_websockets();
    client.echoes(&noise(20_000)).await;
    let session = &world.sessions.sessions()[0];
    assert!(session.resumed >= 2 && session.connections >= 3, "{session:?}");
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_sleep_a_session_goes_on_over_a_new_websocket() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"before").await;
    // The network has forgotten the connection meanwhile. AWS takes signatures that are at most 5 minutes off.
    world.sessions.black_hole(true);
    world.sleep(Duration::from_mins(4));
    let said = noise(20_000);
    client.near.write_all(&said).await.expect("it waits here");
    world.until(|sessions| sessions[0].resumed > 0);
    world.sessions.black_hole(false);
    client.hears(&said).await;
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_is_lost_or_repeated_when_websockets_break_under_load() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    let sessions = world.sessions.clone();
    let cutting = tokio::task::spawn_blocking(move || {
        for cut in 1..=3 {
            let messages: u64 = sessions.sessions().iter().map(|session| session.messages).sum();
            let moved = |records: &[pgferry_simulators::SessionRecord]| {
                records.iter().map(|session| session.messages).sum::<u64>() > messages + 5
                    && records.iter().all(|session| session.connections >= cut)
            };
            if !sessions.wait_until(crate::world::LIMIT, moved) {
                return false;
            }
            sessions.reset_websockets();
        }
        true
    });
    while !cutting.is_finished() {
        client.echoes(&noise(5_000)).await;
    }
    assert!(cutting.await.expect("no panic"), "the session stood still");
    client.echoes(b"after").await;
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_over_tells_its_connections_why_and_the_next_has_a_new_one() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    world.sessions.expire_session(&world.sessions.sessions()[0].id);
    let error = client.fate().await;
    assert_eq!(error.status(), Status::INTERNAL);
    assert!(error.message().contains("keep_alive"), "{error}");
    connect(&pool).await.echoes(b"SELECT 1").await;
    assert_eq!(world.sessions.sessions().len(), 2);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_resumed_in_time_is_given_up_with_the_reason() {
    let world = World::new().await;
    let pool = world
        .pool(&format!(r#"{{"instance": "{NODE}", "open_ahead": false, "resume_for": "1ms"}}"#));
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    world.aws.allow_only(&world.aws.credentials().access_key_id, &["ssm:TerminateSession"]);
    world.sessions.reset_websockets();
    let error = client.fate().await;
    assert_eq!(error.status(), Status::INTERNAL);
    assert!(error.message().contains("could not be resumed"), "{error}");
    assert!(error.message().contains("ssm:ResumeSession"), "{error}");
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_that_die_as_soon_as_they_are_there_are_given_up_after_a_few() {
    let world = World::new().await;
    let config = format!(r#"{{"instance": "{NODE}", "open_ahead": false, "resume_for": "3s"}}"#);
    let pool = world.pool(&config);
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    let nothing = Disorder { lose: 1.0, duplicate: 0.0, reorder: 0.0 };
    world.sessions.disturb(Direction::TowardsFrontend, nothing);
    let sessions = world.sessions.clone();
    let cutting = tokio::task::spawn_blocking(move || {
        let (mut seen, brief) = (0, Duration::from_secs(8));
        while sessions.wait_until(brief, |now| now[0].ended() || now[0].connections > seen) {
            if sessions.sessions()[0].ended() {
                return;
            }
            seen = sessions.sessions()[0].connections;
            sessions.reset_websockets();
        }
    });
    let error = client.fate().await;
    assert!(error.message().contains("could not be resumed"), "{error}");
    let calls = world.aws.count("ssm:ResumeSession");
    assert!((2..=12).contains(&calls), "{calls}");
    world.end(&pool).await;
    cutting.await.expect("no panic");
}
