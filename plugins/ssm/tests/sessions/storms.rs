//! Lines that lose, double, reorder and break, with much under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgferry_simulators::{Direction, Disorder, SessionManager, SessionRecord};
use tokio::task::JoinSet;

use crate::streams::noise;
use crate::world::{LIMIT, NODE, World, connect};

/// Sessions side by side: one alone would take four times as long for the same bytes.
const SESSIONS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_megabytes_each_way_come_whole_over_a_bad_line() {
    let world = World::new().await;
    // A service that is starved of its processor finds three seconds' worth at once.
    world.sessions.pace_limit(3_000);
    let disorder = Disorder { lose: 0.003, duplicate: 0.02, reorder: 0.05 };
    world.sessions.disturb(Direction::TowardsBackend, disorder);
    world.sessions.disturb(Direction::TowardsFrontend, disorder);
    let pool = world.pool(&config());
    let mut transfers = JoinSet::new();
    for _ in 0..SESSIONS {
        let mut client = connect(&pool).await;
        transfers.spawn(async move {
            let piece = noise(1_250_000);
            for _ in 0..10 {
                client.echoes(&piece).await;
            }
        });
    }
    transfers.join_all().await;
    let sessions = world.sessions.sessions();
    assert_eq!(sessions.len(), SESSIONS, "none was given up");
    assert!(sessions.iter().all(|session| session.repeats > 50), "{sessions:?}");
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_lost_in_a_hundred_cuts_under_load() {
    cut_under_load(25).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make soak"]
async fn no_session_is_lost_in_a_thousand_cuts_under_load() {
    cut_under_load(250).await;
}

/// Cuts all sessions' `WebSocket`s so often, whenever each has another one and has used it.
async fn cut_under_load(times: usize) {
    let world = World::new().await;
    world.sessions.pace_limit(3_000);
    let pool = world.pool(&config());
    let over = Arc::new(AtomicBool::new(false));
    let mut transfers = JoinSet::new();
    for _ in 0..SESSIONS {
        let (mut client, over) = (connect(&pool).await, Arc::clone(&over));
        transfers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                client.echoes(&noise(50_000)).await;
            }
            client.echoes(b"after").await;
        });
    }
    let sessions = world.sessions.clone();
    let cutting =
        tokio::task::spawn_blocking(move || (1..=times).all(|cut| cut_when_used(&sessions, cut)));
    let cut = cutting.await.expect("no panic");
    over.store(true, Ordering::Relaxed);
    assert!(cut, "a session stood still: {:?}", world.sessions.sessions());
    transfers.join_all().await;
    let sessions = world.sessions.sessions();
    assert_eq!(sessions.len(), SESSIONS, "none was given up");
    assert!(sessions.iter().all(|session| session.resumed >= times), "{sessions:?}");
    world.end(&pool).await;
}

/// False: it is not used.
fn cut_when_used(sessions: &SessionManager, connections: usize) -> bool {
    let before = sessions.sessions();
    let used = |now: &[SessionRecord]| {
        now.iter().zip(&before).all(|(now, before)| {
            now.connections >= connections && now.messages > before.messages + 20
        })
    };
    let used = sessions.wait_until(LIMIT, used);
    if used {
        sessions.reset_websockets();
    }
    used
}

fn config() -> String {
    format!(r#"{{"instance": "{NODE}", "open_ahead": false, "max_sessions": {SESSIONS}}}"#)
}
