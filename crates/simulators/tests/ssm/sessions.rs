//! What a session carries, and what it survives.

use pgferry_simulators::{SessionEnd, SessionState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    calls::{Opening, aws, resume},
    client::{Client, Event, FIN, LIMIT, PSH, SYN, frame},
    target::{Target, exactly},
};

#[tokio::test]
async fn a_session_carries_connections_both_ways() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    client.data(&[frame(SYN, 3, b""), frame(PSH, 3, b"hello")].concat()).await;
    let mut there = target.accept().await;
    assert_eq!(exactly(&mut there, 5).await, b"hello");
    there.write_all(&[7; 5000]).await.unwrap();
    assert_eq!(client.read(3, 5000).await, [7; 5000]);
    client.data(&[frame(SYN, 5, b""), frame(PSH, 5, b"two")].concat()).await;
    let mut second = target.accept().await;
    assert_eq!(exactly(&mut second, 3).await, b"two");
    assert_eq!(aws.session_manager().connections(), 2);
    drop(there);
    assert_eq!(client.frame().await, (FIN, 3, Vec::new()));
    client.data(&frame(FIN, 5, b"")).await;
    // There is no half-close: the whole connection goes.
    assert_eq!(second.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(client.frame().await, (FIN, 5, Vec::new()));
    let sessions = aws.session_manager();
    assert!(sessions.wait_until(LIMIT, |sessions| sessions[0].open_streams == 0));
    let record = sessions.sessions().remove(0);
    assert_eq!((record.streams, record.host.as_deref()), (2, Some("db.internal")));
    assert_eq!(record.resolved, Some(target.address));
    assert_eq!(record.reason.as_deref(), Some("a test"));
    assert_eq!(record.client_version.as_deref(), Some("1.2.764.0"));
    assert!(sessions.breaches().is_empty());
}

#[tokio::test]
async fn a_refused_connection_is_a_flag_and_the_streams_end() {
    let (aws, target) = (aws(), Target::listen().await);
    let opening = target.session(&aws);
    drop(target);
    let mut client = Client::connect(&aws, &opening).await;
    client.data(&frame(SYN, 3, b"")).await;
    assert_eq!(client.message(10).await, [0, 0, 0, 3]);
    assert_eq!(client.frame().await, (FIN, 3, Vec::new()));
}

#[tokio::test]
async fn a_resumed_session_goes_on_where_it_was() {
    let (aws, target) = (aws(), Target::listen().await);
    let opening = target.session(&aws);
    let mut client = Client::connect(&aws, &opening).await;
    client.data(&frame(SYN, 3, b"")).await;
    let mut there = target.accept().await;
    let sessions = aws.session_manager();
    for round in 0..2_u8 {
        if round == 0 {
            sessions.close_websockets(1000, "Bye");
            assert_eq!(client.event().await, Event::End(Some((1000, "Bye".to_owned()))));
        } else {
            sessions.reset_websockets();
            assert_eq!(client.event().await, Event::End(None));
        }
        assert!(sessions.wait_until(LIMIT, |it| it[0].state == SessionState::Interrupted));
        // In the gap, from both ends.
        client.data(&frame(PSH, 3, &[round; 3000])).await;
        there.write_all(&[round; 3000]).await.unwrap();
        let token = resume(&aws, &opening.id).token;
        client.resume(&aws, &Opening { token, ..opening.clone() }).await;
        assert_eq!(client.read(3, 3000).await, [round; 3000]);
        assert_eq!(exactly(&mut there, 3000).await, [round; 3000]);
    }
    let record = sessions.sessions().remove(0);
    assert_eq!((record.resumed, record.connections), (2, 3));
}

#[tokio::test]
async fn cuts_under_load_cost_no_byte() {
    let (aws, target) = (aws(), Target::listen().await);
    let opening = target.session(&aws);
    let mut client = Client::connect(&aws, &opening).await;
    client.data(&frame(SYN, 3, b"")).await;
    let mut there = target.accept().await;
    let echo = tokio::spawn(async move {
        let (mut read, mut write) = there.split();
        tokio::io::copy(&mut read, &mut write).await
    });
    let sent: Vec<u8> = (0..25_000_u32).flat_map(u32::to_be_bytes).collect();
    let sessions = aws.session_manager();
    let mut received = Vec::new();
    for (round, chunk) in sent.chunks(5000).enumerate() {
        for part in chunk.chunks(1000) {
            client.data(&frame(PSH, 3, part)).await;
        }
        // The cut falls among messages that are under way in both directions.
        received.extend(client.frame().await.2);
        if round % 2 == 0 {
            sessions.reset_websockets();
        } else {
            sessions.close_websockets(1000, "Bye");
        }
        let token = resume(&aws, &opening.id).token;
        client.resume(&aws, &Opening { token, ..opening.clone() }).await;
    }
    let missing = sent.len() - received.len();
    received.extend(client.read(3, missing).await);
    assert!(received == sent);
    assert_eq!(sessions.sessions()[0].resumed, 20);
    assert!(sessions.breaches().is_empty(), "{:?}", sessions.breaches());
    echo.abort();
}

#[tokio::test]
async fn the_flag_ends_a_session_without_a_receipt() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &target.session(&aws)).await;
    client.send(10, &[0, 0, 0, 2]).await;
    loop {
        match client.next().await {
            Event::Receipt(number) => assert_eq!(number, 0, "only the handshake's"),
            Event::Control(kind, words) => {
                assert_eq!((kind.as_str(), words.as_str()), ("channel_closed", ""));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let record = aws.session_manager().sessions().remove(0);
    assert_eq!(record.state, SessionState::Ended(SessionEnd::Flag));
}
