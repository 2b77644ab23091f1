//! A session's `WebSocket` in simulated time.

use pgferry_ssm_protocol::MessageType;
use tokio::task::JoinHandle;

use super::*;
use crate::far::{AGENT, Clock, driven, driven_until_idle};

const MINUTE: Duration = Duration::from_mins(1);

async fn lost(ended: JoinHandle<Ended>) -> String {
    match ended.await.unwrap() {
        Ended::Lost(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_answers_no_ping_is_given_up_after_a_minute() {
    let (_line, ended, far) = driven(&Clock::new()).await;
    let began = Instant::now();
    let reason = lost(ended).await;
    assert!(reason.contains("nothing is heard from the service"), "{reason}");
    let took = began.elapsed();
    assert!((MINUTE..MINUTE + Duration::from_secs(15)).contains(&took), "{took:?}");
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn pings_that_are_answered_keep_a_websocket_open_for_hours() {
    let (_line, ended, mut far) = driven(&Clock::new()).await;
    far.serve(MINUTE * 180).await;
    assert!(!ended.is_finished());
    // Every 20 to 30 seconds; the last may be due just now.
    assert!((359..=540).contains(&far.pings), "{}", far.pings);
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_of_90_seconds_costs_the_websocket() {
    let (_line, ended, mut far) = driven(&Clock::new()).await;
    far.shake_hands().await;
    far.serve(MINUTE * 10).await;
    assert!(!ended.is_finished());
    sleep_until(Instant::now() + Duration::from_secs(90)).await;
    assert!(lost(ended).await.contains("nothing is heard"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_gives_no_receipt_is_told_from_a_service_that_is_not_there() {
    for crashed in [true, false] {
        let (line, ended, mut far) = driven(&Clock::new()).await;
        far.shake_hands().await;
        let stream = line.open().expect("an open session");
        far.serve(MINUTE * 10).await;
        let began = Instant::now();
        stream.write(b"are you there?").await;
        far.crashed = true;
        if crashed {
            far.serve(MINUTE).await;
        }
        match (ended.await.unwrap(), crashed) {
            (Ended::Silent(silence), true) => assert!(silence >= AGENT, "{silence:?}"),
            (Ended::Lost(reason), false) => assert!(reason.contains("the service"), "{reason}"),
            other => panic!("{other:?}"),
        }
        let took = began.elapsed();
        let latest = if crashed { MINUTE } else { AGENT * 2 };
        assert!((AGENT..=latest).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_whose_database_may_not_read_is_given_minutes() {
    let (line, ended, mut far) = driven(&Clock::new()).await;
    far.shake_hands().await;
    let stream = line.open().expect("an open session");
    let copy = vec![0; 3_000_000];
    let copying = tokio::spawn(async move {
        stream.write(&copy).await;
        stream
    });
    far.serve(Duration::from_secs(2)).await;
    assert!(far.data() > 1500, "{}", far.data());
    far.crashed = true;
    far.serve(MINUTE * 4).await;
    assert!(!ended.is_finished());
    far.serve(MINUTE * 2).await;
    assert!(matches!(ended.await.unwrap(), Ended::Silent(_)));
    copying.abort();
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_five_seconds_of_silence_are_enough() {
    let clock = Clock::new();
    let (_line, ended, mut far) = driven(&clock).await;
    far.serve(MINUTE * 10).await;
    let woke_up = Instant::now();
    clock.advance(MINUTE * 300);
    let reason = lost(ended).await;
    assert!(reason.contains("after a sleep"), "{reason}");
    // At most a tick until the sleep is seen, then five seconds.
    assert!(woke_up.elapsed() <= Duration::from_secs(16), "{:?}", woke_up.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_sleep_that_the_service_did_not_notice_changes_nothing() {
    let clock = Clock::new();
    let (_line, ended, mut far) = driven(&clock).await;
    for _ in 0..5 {
        far.serve(MINUTE * 2).await;
        clock.advance(MINUTE * 10);
    }
    far.serve(MINUTE * 2).await;
    assert!(!ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn data_waits_while_the_service_wants_none_and_goes_when_it_does() {
    let (line, ended, mut far) = driven(&Clock::new()).await;
    far.shake_hands().await;
    let stream = line.open().expect("an open session");
    stream.write(b"before").await;
    far.serve(Duration::from_secs(1)).await;
    let before = far.data();
    assert!(before > 0);

    far.say(MessageType::PausePublication).await;
    far.serve(Duration::from_millis(50)).await;
    stream.write(b"meanwhile").await;
    far.serve(Duration::from_secs(5)).await;
    assert_eq!(far.data(), before, "data came during the pause");

    far.say(MessageType::StartPublication).await;
    far.serve(Duration::from_secs(1)).await;
    assert_eq!(far.data(), before + 1);
    assert!(!ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_an_end_costs_the_websocket_and_not_the_session() {
    let (line, ended, mut far) = driven(&Clock::new()).await;
    far.shake_hands().await;
    far.say(MessageType::PausePublication).await;
    let began = Instant::now();
    far.serve(MINUTE).await;
    let reason = lost(ended).await;
    assert!(reason.contains("paused"), "{reason}");
    assert!(began.elapsed() <= Duration::from_secs(25), "{:?}", began.elapsed());
    assert!(line.fate().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_not_unused_before_it_can_be_used() {
    let (line, ended, mut far) = driven_until_idle(&Clock::new(), Duration::ZERO).await;
    far.serve(Duration::from_secs(20)).await;
    assert!(!ended.is_finished(), "whoever had it opened still waits for it");
    far.shake_hands().await;
    let stream = line.open().expect("an open session");
    far.serve(MINUTE).await;
    assert!(!ended.is_finished());
    drop(stream);
    far.serve(Duration::from_secs(5)).await;
    assert!(matches!(ended.await.unwrap(), Ended::Unused));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_found_unused_takes_no_connection_any_more() {
    let (line, ended, mut far) = driven_until_idle(&Clock::new(), MINUTE).await;
    far.shake_hands().await;
    far.serve(MINUTE * 2).await;
    assert!(matches!(ended.await.unwrap(), Ended::Unused));
    assert!(line.open().is_none());
}
