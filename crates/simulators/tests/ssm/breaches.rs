//! Clients that break a rule lose their session, and the test can read which rule it was.

use futures_util::SinkExt as _;
use pgferry_simulators::{Aws, SessionEnd, SessionState};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    calls::{aws, remote, start},
    client::{Client, FIN, PSH, SYN, frame, response},
    wire::{Received, SentMessage, acknowledgement, write},
};

async fn connected(aws: &Aws) -> Client {
    Client::connect(aws, &start(aws, &remote("127.0.0.1", 1))).await
}

/// What the client is told is what the test can read.
async fn rule(aws: &Aws, client: &mut Client) -> String {
    let words = client.closed().await;
    let sessions = aws.session_manager();
    let record = sessions.sessions().pop().unwrap();
    assert_eq!(record.state, SessionState::Ended(SessionEnd::Broken(words.clone())));
    let breach = sessions.breaches().pop().unwrap();
    assert_eq!((breach.session, &breach.rule), (record.id, &words));
    words
}

#[tokio::test]
async fn messages_have_to_be_whole_and_right() {
    let aws = aws();
    let good = write(&SentMessage { sequence: 1, payload_type: 1, payload: b"data" });
    for (at, byte, broken) in [
        (3, 112, "the header's length is 112 instead of 116"),
        (39, 2, "the schema version is 2 instead of 1"),
        (63, 2, "flags 2 on message 1"),
        (80, !good[80], "the payload's digest is wrong"),
        (119, 3, "the payload's length is 3, 4 bytes follow"),
    ] {
        let mut bad = good.clone();
        bad[at] = byte;
        let mut client = connected(&aws).await;
        client.raw(bad).await;
        assert_eq!(rule(&aws, &mut client).await, broken);
    }
    let mut client = connected(&aws).await;
    client.socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(rule(&aws, &mut client).await, "a text frame after the first");
}

#[tokio::test]
async fn data_come_in_small_messages_of_known_types() {
    let aws = aws();
    let many = vec![0; 1025];
    for (payload_type, payload, broken) in [
        (1, many.as_slice(), "1025 bytes of data in a message, more than 1024"),
        (1, b"".as_slice(), "the payload is empty"),
        (3, b"{}".as_slice(), "payload type 3 among data"),
        (10, b"\0\0\0\x09".as_slice(), "flag [0, 0, 0, 9]"),
    ] {
        let mut client = connected(&aws).await;
        client.send(payload_type, payload).await;
        assert_eq!(rule(&aws, &mut client).await, broken);
    }
    aws.session_manager().payload_limit(1025);
    let mut client = connected(&aws).await;
    client.send(1, &frame(PSH, 3, &[0; 1017])).await;
    assert_eq!(rule(&aws, &mut client).await, "Data on stream 3, never opened");
}

#[tokio::test]
async fn nothing_is_sent_before_the_handshake_is_complete() {
    let aws = aws();
    let opening = start(&aws, &remote("127.0.0.1", 1));
    let mut client = Client::open(&aws, &opening).await;
    client.message(5).await;
    client.send(6, response("1.2.764.0", 1).to_string().as_bytes()).await;
    client.send(1, &frame(SYN, 3, b"")).await;
    let broken = "message 1 before the handshake was complete";
    assert_eq!(rule(&aws, &mut client).await, broken);
    let mut client = Client::open(&aws, &start(&aws, &remote("127.0.0.1", 1))).await;
    client.message(5).await;
    client.send(1, &frame(SYN, 3, b"")).await;
    let broken = "payload type 1 instead of a handshake response";
    assert_eq!(rule(&aws, &mut client).await, broken);
}

#[tokio::test]
async fn receipts_are_for_messages_that_were_sent() {
    let aws = aws();
    let mut client = connected(&aws).await;
    let unsent = Received {
        kind: "output_stream_data".to_owned(),
        sequence: 2,
        id: [1; 16],
        payload_type: 1,
        payload: Vec::new(),
    };
    client.raw(acknowledgement(&unsent)).await;
    let broken = "a receipt for message 2, never sent";
    assert_eq!(rule(&aws, &mut client).await, broken);
}

#[tokio::test]
async fn a_repetition_repeats() {
    let aws = aws();
    let mut client = connected(&aws).await;
    for payload in [b"one", b"two"] {
        client.raw(write(&SentMessage { sequence: 5, payload_type: 1, payload })).await;
    }
    let broken = "message 5 twice with different payloads";
    assert_eq!(rule(&aws, &mut client).await, broken);
}

#[tokio::test]
async fn streams_keep_the_rules_of_smux() {
    let aws = aws();
    for (bytes, broken) in [
        (b"\x02\0\0\0\x03\0\0\0".to_vec(), "smux version 2"),
        (b"\x01\x04\0\0\x03\0\0\0".to_vec(), "smux command 4"),
        (frame(SYN, 4, b""), "smux Open of 0 bytes on stream 4"),
        (frame(SYN, 1, b""), "stream 1 opened after 0"),
        (frame(SYN, 5, b"").repeat(2), "stream 5 opened after 5"),
        (
            [frame(SYN, 5, b""), frame(FIN, 5, b""), frame(PSH, 5, b"x")].concat(),
            "Data on stream 5 after its FIN",
        ),
        (frame(FIN, 3, b""), "Close on stream 3, never opened"),
    ] {
        let mut client = connected(&aws).await;
        client.data(&bytes).await;
        assert_eq!(rule(&aws, &mut client).await, broken);
    }
}
