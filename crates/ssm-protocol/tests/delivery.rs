//! Two channels and a network that loses, doubles, delays and cuts, in simulated time.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

mod support;

use std::collections::VecDeque;
use std::time::Duration;

use pgferry_ssm_protocol::{
    AgentMessage, Channel, Event, Flag, Limits, MessageType, PayloadType, Role,
};
use proptest::prelude::*;
use support::{Faults, Pair, at, channel, service_message};

#[test]
fn an_undisturbed_transfer_sends_every_message_once() {
    let mut pair = Pair::new(Faults::none(), Limits::default());
    let sent = pair.transfer(200_000, 200_000);
    assert_eq!(sent.stream_messages, 2 * 200_000_u64.div_ceil(1024), "nothing is repeated");
    assert_eq!(sent.receipts, sent.stream_messages);
}

#[test]
fn the_pace_is_900_messages_a_second() {
    let mut pair = Pair::new(Faults::none(), Limits::default());
    let sent = pair.transfer(9_000 * 1024, 0);
    let seconds = sent.took.as_secs_f64();
    assert!((9.8..10.3).contains(&seconds), "{seconds}");
}

#[test]
fn after_a_cut_a_full_backlog_goes_again_at_once_and_within_its_pace() {
    let limits = Limits { unsent_bytes: 16 << 20, ..Limits::default() };
    let backlog = 2048;
    let mut client = channel(Role::Client, limits);
    client.handshake_completed();
    client.connected(at(0));
    assert_eq!(client.write(&vec![7; 10_000 * 1024]), 10_000 * 1024);
    let lost = support::drain(&mut client, 0, 40_000);
    assert_eq!(lost.iter().map(|message| message.sequence_number).max(), Some(backlog - 1));
    client.disconnected();
    assert!(client.poll_transmit(at(40_000)).is_none(), "there is nothing to send on");
    assert!(client.next_wakeup(at(40_000)).is_none());
    client.connected(at(60_000));
    let again = support::drain(&mut client, 60_000, 62_300);
    let numbers: Vec<i64> = again.iter().map(|message| message.sequence_number).collect();
    let all: Vec<i64> = (0..backlog).collect();
    assert_eq!(numbers[..2048], all, "from the oldest on, and none twice before each went once");
}

#[test]
fn data_waits_for_the_handshake_and_control_messages_do_not() {
    let mut client = channel(Role::Client, Limits::default());
    client.connected(at(0));
    client.write(b"early");
    assert!(client.poll_transmit(at(0)).is_none());
    assert!(client.send_control(PayloadType::HandshakeResponse, "{}".into()));
    let frame = client.poll_transmit(at(1)).unwrap();
    let response = AgentMessage::decode(&frame).unwrap();
    assert_eq!(response.payload_type, PayloadType::HandshakeResponse);
    assert_eq!((response.sequence_number, response.flags), (0, 0));
    client.handshake_completed();
    let data = AgentMessage::decode(&client.poll_transmit(at(2)).unwrap()).unwrap();
    assert_eq!((data.sequence_number, &data.payload[..]), (1, &b"early"[..]));
}

#[test]
fn the_agents_first_message_alone_carries_syn() {
    let mut agent = channel(Role::Agent, Limits::default());
    agent.handshake_completed();
    agent.connected(at(0));
    agent.write(&[0; 2048]);
    let sent = support::drain(&mut agent, 0, 10);
    let flags: Vec<u64> = sent.iter().map(|message| message.flags).collect();
    assert_eq!(flags, [AgentMessage::SYN, 0]);
}

#[test]
fn an_unanswered_message_is_repeated_with_growing_pauses_and_stays_the_same() {
    let mut client = channel(Role::Client, Limits::default());
    client.handshake_completed();
    client.connected(at(0));
    client.write(b"x");
    let sent: Vec<(u64, AgentMessage)> = support::timeline(&mut client, 0, 30_000);
    let times: Vec<u64> = sent.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [0, 200, 600, 1400, 3000, 6200, 12_600, 20_600, 28_600]);
    assert!(sent.iter().all(|(_, message)| *message == sent[0].1));
    assert_eq!(client.unheard_for(at(30_000)), Some(Duration::from_secs(30)));
    assert!(!client.is_flushed());
}

#[test]
fn a_way_slower_than_the_first_timeout_is_learnt_and_nothing_is_repeated_any_more() {
    for round_trip in [1_500, 2_500, 4_000] {
        let copies = copies_over(round_trip, 60_000);
        assert!(!copies.is_empty(), "the first ones are sent before anything is known");
        let last = copies[copies.len() - 1];
        assert!(last < 12_000, "{round_trip} ms: the last of {} at {last} ms", copies.len());
    }
}

/// When messages were repeated, of ten a second on a way that loses nothing.
fn copies_over(round_trip: u64, until: u64) -> Vec<u64> {
    let mut client = channel(Role::Client, Limits::default());
    let mut agent = channel(Role::Agent, Limits::default());
    client.handshake_completed();
    for channel in [&mut client, &mut agent] {
        channel.connected(at(0));
    }
    let (mut receipts, mut copies, mut next) = (VecDeque::new(), Vec::new(), 0);
    for now in 0..until {
        if now % 100 == 0 {
            client.write(b"SELECT 1");
        }
        while receipts.front().is_some_and(|(arrival, _)| *arrival <= now) {
            let (_, receipt) = receipts.pop_front().unwrap();
            client.on_frame(&receipt, at(now)).unwrap();
        }
        while let Some(frame) = client.poll_transmit(at(now)) {
            match AgentMessage::decode(&frame).unwrap().sequence_number {
                number if number == next => next += 1,
                _ => copies.push(now),
            }
            agent.on_frame(&frame, at(now)).unwrap();
            while let Some(receipt) = agent.poll_transmit(at(now)) {
                receipts.push_back((now + round_trip, receipt));
            }
            while agent.receive().is_some() {}
        }
    }
    copies
}

#[test]
fn a_silent_agent_is_asked_by_the_oldest_message_alone_until_it_is_heard() {
    let mut client = channel(Role::Client, Limits::default());
    let mut agent = channel(Role::Agent, Limits::default());
    client.handshake_completed();
    client.connected(at(0));
    agent.connected(at(0));
    client.write(&vec![0; 20 * 1024]);
    let first = client.poll_transmit(at(0)).unwrap();
    support::drain(&mut client, 0, 5_000);
    let asked = support::drain(&mut client, 5_000, 60_000);
    assert!(asked.len() >= 5, "{}", asked.len());
    assert!(asked.iter().all(|message| message.sequence_number == 0));

    agent.on_frame(&first, at(60_000)).unwrap();
    let receipt = agent.poll_transmit(at(60_000)).unwrap();
    assert_eq!(client.on_frame(&receipt, at(60_001)), Ok(Event::Acknowledged));
    let again = support::drain(&mut client, 60_001, 60_050);
    let numbers: Vec<i64> = again.iter().map(|message| message.sequence_number).collect();
    assert_eq!(numbers, (1..20).collect::<Vec<i64>>());
}

#[test]
fn an_agent_is_silent_while_messages_wait_and_any_frame_of_it_is_a_sign_of_life() {
    let mut client = channel(Role::Client, Limits::default());
    let mut agent = channel(Role::Agent, Limits::default());
    for channel in [&mut client, &mut agent] {
        channel.handshake_completed();
        channel.connected(at(0));
    }
    assert_eq!(client.silent_for(at(60_000)), None, "it owes nothing");
    client.write(b"are you there?");
    assert!(client.poll_transmit(at(60_000)).is_some());
    assert_eq!(client.silent_for(at(70_000)), Some(Duration::from_secs(10)));
    agent.write(b"something else");
    let other = agent.poll_transmit(at(0)).unwrap();
    for arrival in [80_000, 90_000] {
        assert_eq!(client.on_frame(&other, at(arrival)), Ok(Event::Stream));
    }
    assert_eq!(client.silent_for(at(95_000)), Some(Duration::from_secs(5)), "a copy counts too");
    assert_eq!(client.signs_of_life(), 2);
    client.disconnected();
    client.connected(at(200_000));
    assert_eq!(client.silent_for(at(201_000)), Some(Duration::from_secs(1)), "nor does a break");
    assert_eq!(client.signs_of_life(), 2);
}

#[test]
fn after_a_break_the_waits_for_a_message_begin_anew() {
    let mut client = channel(Role::Client, Limits::default());
    client.handshake_completed();
    client.connected(at(0));
    client.write(b"x");
    support::drain(&mut client, 0, 30_000);
    client.disconnected();
    client.connected(at(30_000));
    let times: Vec<u64> =
        support::timeline(&mut client, 30_000, 31_500).into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [30_000, 30_200, 30_600, 31_400]);
}

#[test]
fn a_pause_stops_new_data_and_nothing_else_until_the_agent_is_heard() {
    let mut client = channel(Role::Client, Limits::default());
    client.handshake_completed();
    client.connected(at(0));
    assert_eq!(client.on_frame(&service_message("pause_publication"), at(5)), Ok(Event::Paused));
    client.write(b"later");
    assert!(client.poll_transmit(at(6)).is_none());
    assert_eq!(client.paused_for(at(10_005)), Some(Channel::PAUSE_LIMIT));
    assert!(client.send_control(PayloadType::Flag, Flag::TerminateSession.encode()));
    assert!(client.poll_transmit(at(7)).is_some(), "a flag goes all the same");

    let mut agent = channel(Role::Agent, Limits::default());
    agent.handshake_completed();
    agent.connected(at(0));
    agent.write(b"hello");
    let hello = agent.poll_transmit(at(8)).unwrap();
    assert_eq!(client.on_frame(&hello, at(9)), Ok(Event::Stream));
    assert_eq!(client.paused_for(at(9)), None);
    let receipt = AgentMessage::decode(&client.poll_transmit(at(9)).unwrap()).unwrap();
    assert_eq!(receipt.message_type, MessageType::Acknowledge);
    assert_eq!(receipt.flags, 3);
    assert!(client.poll_transmit(at(9)).is_some(), "and data flows");
}

#[test]
fn a_start_or_a_new_connection_ends_a_pause() {
    let mut client = channel(Role::Client, Limits::default());
    client.connected(at(0));
    let pause = service_message("pause_publication");
    let start = service_message("start_publication");
    assert_eq!(client.on_frame(&pause, at(0)), Ok(Event::Paused));
    assert_eq!(client.on_frame(&start, at(1)), Ok(Event::Started));
    assert_eq!(client.paused_for(at(1)), None);
    assert_eq!(client.on_frame(&pause, at(2)), Ok(Event::Paused));
    client.disconnected();
    client.connected(at(3));
    assert_eq!(client.paused_for(at(3)), None);
}

#[test]
fn back_pressure_holds_the_writer_until_receipts_make_room() {
    let limits = Limits { unsent_bytes: 3000, unacknowledged_messages: 2, ..Limits::default() };
    let mut client = channel(Role::Client, limits);
    client.handshake_completed();
    client.connected(at(0));
    assert_eq!(client.write(&[1; 10_000]), 3000);
    assert_eq!(client.write(&[1; 10_000]), 0);
    assert_eq!(support::drain(&mut client, 0, 50).len(), 2);
    assert_eq!(client.room(), 2048);
}

#[test]
fn messages_of_others_and_broken_ones_change_nothing() {
    let mut client = channel(Role::Client, Limits::default());
    client.connected(at(0));
    let state = service_message("agent_session_state");
    let ignored = Event::Ignored(MessageType::AgentSessionState);
    assert_eq!(client.on_frame(&state, at(0)), Ok(ignored));
    let news = Event::Ignored(MessageType::Other("news".to_owned()));
    assert_eq!(client.on_frame(&service_message("news"), at(0)), Ok(news));
    assert!(client.on_frame(&"junk".into(), at(0)).is_err());
    assert!(client.on_frame(&service_message("acknowledge"), at(0)).is_err());
    assert!(client.poll_transmit(at(1)).is_none(), "nothing of it is answered");
    let Ok(Event::Closed(closed)) = client.on_frame(&service_message("channel_closed"), at(0))
    else {
        panic!("the end of the session was not understood");
    };
    assert_eq!(closed.output, "");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_once_and_in_order_whatever_the_network_does(
        seed in any::<u64>(),
        loss in 0_u64..30,
        doubling in 0_u64..30,
        longest_delay in 1_u64..300,
        cut_every in 200_u64..5000,
        up in 0_usize..150_000,
        down in 0_usize..150_000,
        held_messages in 2_usize..200,
    ) {
        let faults = Faults { seed, loss, doubling, longest_delay, cut_every, lazy_reader: true };
        let limits = Limits {
            held_messages,
            gap_messages: held_messages,
            unacknowledged_messages: 300,
            ..Limits::default()
        };
        Pair::new(faults, limits).transfer(up, down);
    }
}
