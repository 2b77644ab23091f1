//! What a channel counts.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "a test ends by panicking, and uses a part of the network"
)]

mod support;

use std::time::Duration;

use pgferry_ssm_protocol::{AgentMessage, Channel, Limits, Role, Tally};
use support::{at, channel, drain};

#[test]
fn what_goes_twice_is_counted_apart_from_what_goes_once() {
    let [mut client, mut agent] = [Role::Client, Role::Agent].map(|role| {
        let mut channel = channel(role, Limits::default());
        channel.handshake_completed();
        channel.connected(at(0));
        channel
    });
    client.write(b"hello");
    let frames: Vec<_> = drain(&mut client, 0, 700).iter().map(AgentMessage::encode).collect();
    assert_eq!(client.tally(), Tally { sent_bytes: 5, repeated: 2, ..Tally::default() });
    for frame in &frames {
        agent.on_frame(frame, at(700)).unwrap();
    }
    assert_eq!(agent.tally(), Tally { received_bytes: 5, copies: 2, ..Tally::default() });
    let more = Tally { sent_bytes: 7, repeated: 2, ..Tally::default() };
    assert_eq!(more.since(client.tally()), Tally { sent_bytes: 2, ..Tally::default() });
}

#[test]
fn a_round_trip_is_told_once_and_never_of_a_message_that_went_twice() {
    let [mut client, mut agent] = [Role::Client, Role::Agent].map(|role| {
        let mut channel = channel(role, Limits::default());
        channel.handshake_completed();
        channel.connected(at(0));
        channel
    });
    let mut send = |client: &mut Channel, from, until, back| {
        client.write(b"x");
        for frame in drain(client, from, until) {
            agent.on_frame(&frame.encode(), at(until)).unwrap();
        }
        while let Some(receipt) = agent.poll_transmit(at(back)) {
            client.on_frame(&receipt, at(back)).unwrap();
        }
    };
    send(&mut client, 0, 10, 30);
    assert_eq!(client.take_round_trip(), Some(Duration::from_millis(30)));
    assert_eq!(client.take_round_trip(), None);
    send(&mut client, 1_000, 1_900, 2_000);
    assert_eq!(client.take_round_trip(), None);
}
