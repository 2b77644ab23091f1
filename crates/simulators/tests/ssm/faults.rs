//! The faults that tests can ask for.

use std::time::Duration;

use futures_util::SinkExt as _;
use pgferry_simulators::{Direction, Disorder, Fault, SessionEnd, SessionState};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    calls::{Opening, aws, call, remote, resume, start},
    client::{Client, Event, LIMIT, PSH, SYN, dial_signed, frame},
    target::{Target, exactly},
    wire::{SentMessage, write},
};

#[tokio::test]
async fn copies_and_early_messages_get_receipts_and_are_used_once() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    let message =
        |sequence, payload: &[u8]| write(&SentMessage { sequence, payload_type: 1, payload });
    let data = frame(PSH, 3, b"once");
    for _ in 0..2 {
        client.raw(message(2, &data)).await;
        assert_eq!(client.next().await, Event::Receipt(2));
    }
    client.raw(message(1, &frame(SYN, 3, b""))).await;
    assert_eq!(client.next().await, Event::Receipt(1));
    client.raw(message(2, &data)).await;
    assert_eq!(client.next().await, Event::Receipt(2));
    client.raw(message(3, &frame(PSH, 3, b"."))).await;
    let mut there = target.accept().await;
    assert_eq!(exactly(&mut there, 5).await, b"once.");
    assert_eq!(aws.session_manager().sessions()[0].messages, 6);
}

#[tokio::test]
async fn the_oldest_message_without_a_receipt_is_repeated() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    client.data(&frame(SYN, 3, b"")).await;
    let mut there = target.accept().await;
    let sessions = aws.session_manager();
    let before = sessions.sessions()[0].repeats;
    client.acknowledges = false;
    there.write_all(&[1; 3000]).await.unwrap();
    assert_eq!(client.read(3, 3000).await, [1; 3000]);
    assert!(sessions.wait_until(LIMIT, |it| it[0].repeats >= before + 3));
    // The repetitions are all of the first: its receipt lets the second be repeated.
    client.acknowledges = true;
    there.write_all(b"x").await.unwrap();
    assert_eq!(client.read(3, 1).await, b"x");
}

#[tokio::test]
async fn a_lost_receipt_and_a_lost_message_are_made_up_for() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    let sessions = aws.session_manager();
    sessions.lose_messages(Direction::TowardsBackend, 1);
    sessions.lose_receipts(Direction::TowardsFrontend, 1);
    client.data(&frame(SYN, 3, b"")).await;
    client.data(&frame(PSH, 3, b"hello")).await;
    let seen = async {
        while !matches!(client.next().await, Event::Receipt(2)) {}
        target.accept().await
    };
    let mut there = timeout(LIMIT, seen).await.unwrap();
    assert_eq!(exactly(&mut there, 5).await, b"hello");
    sessions.lose_messages(Direction::TowardsFrontend, 1);
    sessions.lose_receipts(Direction::TowardsBackend, 1);
    let before = sessions.sessions()[0].repeats;
    there.write_all(b"world").await.unwrap();
    assert_eq!(client.read(3, 5).await, b"world");
    there.write_all(b"!").await.unwrap();
    assert_eq!(client.read(3, 1).await, b"!");
    assert!(sessions.sessions()[0].repeats > before);
}

#[tokio::test]
async fn disorder_in_both_directions_costs_time_and_no_byte() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    client.data(&frame(SYN, 3, b"")).await;
    let mut there = target.accept().await;
    let disorder = Disorder { lose: 0.1, duplicate: 0.1, reorder: 0.1 };
    let sessions = aws.session_manager();
    for direction in [Direction::TowardsBackend, Direction::TowardsFrontend] {
        sessions.disturb(direction, disorder);
    }
    let sent: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
    let echo = tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok(length @ 1..) = there.read(&mut buffer).await {
            there.write_all(&buffer[..length]).await.unwrap();
        }
    });
    for chunk in sent.chunks(1000) {
        client.data(&frame(PSH, 3, chunk)).await;
    }
    let echoed = timeout(LIMIT, client.read(3, sent.len())).await.unwrap();
    assert!(echoed == sent);
    assert!(sessions.sessions()[0].repeats > 0);
    assert!(sessions.breaches().is_empty(), "{:?}", sessions.breaches());
    drop(client);
    echo.abort();
}

#[tokio::test]
async fn in_a_black_hole_nothing_is_answered_and_nothing_ends() {
    let (aws, target) = (aws(), Target::listen().await);
    let opening = target.session(&aws);
    let mut client = Client::connect(&aws, &opening).await;
    let sessions = aws.session_manager();
    sessions.black_hole(true);
    client.socket.send(Message::Ping("one".into())).await.unwrap();
    let silence = timeout(Duration::from_millis(500), client.pong()).await;
    assert!(silence.is_err(), "{silence:?}");
    let unanswered = timeout(Duration::from_millis(500), dial_signed(&aws, &opening.url)).await;
    assert!(unanswered.is_err());
    assert_eq!(sessions.sessions()[0].state, SessionState::Connected);
    sessions.black_hole(false);
    assert_eq!(client.pong().await, "one");
}

#[tokio::test]
async fn a_later_websocket_takes_over() {
    let (aws, target) = (aws(), Target::listen().await);
    let opening = target.session(&aws);
    let mut first = Client::connect(&aws, &opening).await;
    let token = resume(&aws, &opening.id).token;
    let second = Client::open(&aws, &Opening { token, ..opening }).await;
    assert_eq!(first.event().await, Event::End(None));
    let sessions = aws.session_manager();
    assert!(sessions.wait_until(LIMIT, |it| it[0].connections == 2));
    assert_eq!(sessions.sessions()[0].state, SessionState::Connected);
    drop(second);
    assert!(sessions.wait_until(LIMIT, |it| it[0].state == SessionState::Interrupted));
}

#[tokio::test]
async fn who_sends_too_fast_is_paused_and_cut_and_may_come_back() {
    let (aws, target) = (aws(), Target::listen().await);
    let opening = target.session(&aws);
    let mut client = Client::connect(&aws, &opening).await;
    client.data(&frame(SYN, 3, b"")).await;
    for _ in 0..2001 {
        client.data(&frame(PSH, 3, b"x")).await;
    }
    let event = loop {
        match client.event().await {
            Event::Control(kind, _) => break kind,
            other => assert!(!matches!(other, Event::End(_)), "{other:?}"),
        }
    };
    assert_eq!(event, "pause_publication");
    assert_eq!(client.event().await, Event::End(None));
    let sessions = aws.session_manager();
    assert!(sessions.breaches()[0].rule.contains("messages a second"));
    assert!(sessions.wait_until(LIMIT, |it| it[0].state == SessionState::Interrupted));
    sessions.pace_limit(10_000);
    let token = resume(&aws, &opening.id).token;
    client.resume(&aws, &Opening { token, ..opening }).await;
    let mut there = target.accept().await;
    tokio::join!(async { assert_eq!(exactly(&mut there, 2001).await, vec![b'x'; 2001]) }, async {
        while !matches!(client.next().await, Event::Receipt(2002)) {}
    },);
}

#[tokio::test]
async fn idle_sessions_end_by_the_simulated_clock() {
    let (aws, target) = (aws(), Target::listen().await);
    let opening = target.session(&aws);
    let mut client = Client::connect(&aws, &opening).await;
    for _ in 0..2 {
        aws.clock().advance(Duration::from_mins(19));
        client.data(&frame(3, 0, b"")).await;
        assert!(matches!(client.next().await, Event::Receipt(_)));
    }
    aws.clock().advance(Duration::from_mins(20));
    assert_eq!(client.closed().await, "Your session timed out due to inactivity.");
    assert_eq!(aws.session_manager().sessions()[0].state, SessionState::Ended(SessionEnd::Idle));
    let by_id = json!({"SessionId": opening.id});
    assert_eq!(call(&aws, aws.credentials(), "ResumeSession", &by_id), (200, by_id));
}

#[tokio::test]
async fn a_dial_that_hangs_holds_up_those_behind_it() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    client.data(&[frame(SYN, 3, b""), frame(PSH, 3, b"a")].concat()).await;
    let mut first = target.accept().await;
    assert_eq!(exactly(&mut first, 1).await, b"a");
    let sessions = aws.session_manager();
    sessions.hold_dials(true);
    client.data(&[frame(SYN, 5, b""), frame(SYN, 7, b""), frame(PSH, 3, b"b")].concat()).await;
    // The stream that is open already goes on.
    assert_eq!(exactly(&mut first, 1).await, b"b");
    assert!(timeout(Duration::from_millis(300), target.accept()).await.is_err());
    sessions.hold_dials(false);
    target.accept().await;
    target.accept().await;
}

#[tokio::test]
async fn an_agent_that_crashed_says_nothing_while_pings_are_answered() {
    let (aws, target) = (aws(), Target::listen().await);
    let opening = target.session(&aws);
    let mut client = Client::connect(&aws, &opening).await;
    client.data(&frame(SYN, 3, b"")).await;
    let mut there = target.accept().await;
    assert_eq!(client.next().await, Event::Receipt(1));
    aws.session_manager().crash_agent(&opening.id);
    assert_eq!(timeout(LIMIT, there.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
    client.data(&frame(PSH, 3, b"x")).await;
    client.socket.send(Message::Ping("two".into())).await.unwrap();
    assert_eq!(client.pong().await, "two");
}

#[tokio::test]
async fn publication_is_paused_and_started_in_the_old_layout() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    let sessions = aws.session_manager();
    sessions.pause_publication();
    sessions.start_publication();
    for kind in ["pause_publication", "start_publication"] {
        assert_eq!(client.event().await, Event::Control(kind.to_owned(), String::new()));
    }
}

#[tokio::test]
async fn a_database_that_does_not_read_stops_the_receipts_and_loses_nothing() {
    // More than the agent and two sockets hold.
    const FRAMES: usize = 2500;
    const LENGTH: usize = 8000;
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    client.data(&frame(SYN, 3, b"")).await;
    let mut there = target.accept().await;
    let sessions = aws.session_manager();
    sessions.pace_limit(usize::MAX);
    sessions.payload_limit(LENGTH + 8);
    for _ in 0..FRAMES {
        client.send(1, &frame(PSH, 3, &[7; LENGTH])).await;
    }
    let mut receipts = 0;
    while let Ok(Event::Receipt(_)) = timeout(Duration::from_secs(1), client.next()).await {
        receipts += 1;
    }
    assert!((500..FRAMES).contains(&receipts), "{receipts}");
    let all =
        async { assert!(exactly(&mut there, FRAMES * LENGTH).await == [7; LENGTH].repeat(FRAMES)) };
    let acknowledged = async {
        while client.unacknowledged() > 0 {
            client.next().await;
        }
    };
    tokio::join!(all, acknowledged);
    assert!(sessions.breaches().is_empty());
}

#[tokio::test]
async fn faults_of_the_simulated_aws_meet_calls_and_websockets() {
    let (aws, target) = (aws(), Target::listen().await);
    aws.inject("ssm:StartSession", Fault::Throttle, 1);
    let (status, body) =
        call(&aws, aws.credentials(), "StartSession", &remote("db.internal", 5432));
    assert_eq!((status, &body["__type"]), (400, &json!("ThrottlingException")));
    aws.inject("ssmmessages:OpenDataChannel", Fault::Unavailable, 1);
    let opening = target.session(&aws);
    assert_eq!(dial_signed(&aws, &opening.url).await.err(), Some(503));
    Client::connect(&aws, &opening).await;
}

#[tokio::test]
async fn names_are_resolved_once_a_session() {
    let (aws, old, new) = (aws(), Target::listen().await, Target::listen().await);
    let mut client = Client::connect(&aws, &old.session(&aws)).await;
    client.data(&frame(SYN, 3, b"")).await;
    old.accept().await;
    aws.session_manager().names(&[("db.internal", new.address)]);
    client.data(&frame(SYN, 5, b"")).await;
    old.accept().await;
    let mut later = Client::connect(&aws, &start(&aws, &remote("db.internal", 5432))).await;
    later.data(&frame(SYN, 3, b"")).await;
    new.accept().await;
}

#[tokio::test]
async fn an_agent_rests_after_each_message_of_data() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    client.data(&frame(SYN, 3, b"")).await;
    let mut there = target.accept().await;
    let began = Instant::now();
    there.write_all(&vec![0; 200 * 1024]).await.unwrap();
    let mut read = 0;
    while read < 200 * 1024 {
        read += client.frame().await.2.len();
    }
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[tokio::test]
async fn old_clients_get_keep_alives() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::open(&aws, &target.session(&aws)).await;
    client.message(5).await;
    let response = crate::client::response("1.2.331.0", 1);
    client.send(6, response.to_string().as_bytes()).await;
    client.message(7).await;
    assert_eq!(client.frame().await, (3, 0, Vec::new()));
}
