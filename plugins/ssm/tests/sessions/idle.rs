//! Sessions that nobody uses, by the simulated clock.

use std::time::Duration;

use pgferry_simulators::{SessionEnd, SessionState};
use pgferry_transport_sdk::Status;

use crate::world::{NODE, World, connect};

/// The service's limit is 20 minutes.
const NEARLY: Duration = Duration::from_mins(19);

#[tokio::test(flavor = "multi_thread")]
async fn a_session_dies_of_idleness_and_says_how_to_prevent_it() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    world.aws.clock().advance(NEARLY);
    client.echoes(b"SELECT 2").await;
    world.aws.clock().advance(NEARLY + NEARLY);
    let error = client.fate().await;
    assert_eq!(error.status(), Status::INTERNAL);
    assert!(error.message().contains("timed out due to inactivity"), "{error}");
    assert!(error.message().contains("keep_alive on this transport prevents it"), "{error}");
    assert_eq!(world.sessions.sessions()[0].state, SessionState::Ended(SessionEnd::Idle));
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keep_alive_keeps_a_session_beyond_the_limit() {
    let world = World::new().await;
    let pool = world
        .pool(&format!(r#"{{"instance": "{NODE}", "open_ahead": false, "keep_alive": "100ms"}}"#));
    let mut client = connect(&pool).await;
    client.echoes(b"SELECT 1").await;
    for _ in 0..3 {
        let messages = world.sessions.sessions()[0].messages;
        // Two, since the first may have been under way already.
        world.until(|sessions| sessions[0].messages >= messages + 2);
        world.aws.clock().advance(NEARLY);
    }
    client.echoes(b"SELECT 2").await;
    world.end(&pool).await;
}
