//! Streams of a session, against an agent that reads and writes the frames by itself.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use pgferry_ssm_protocol::smux::{End, Inbound, Intake, Limits, OpenError, Session};
use proptest::prelude::*;

const SYN: u8 = 0;
const FIN: u8 = 1;
const PSH: u8 = 2;
const NOP: u8 = 3;

fn frame(command: u8, stream: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut bytes = vec![1, command];
    bytes.extend(length.to_le_bytes());
    bytes.extend(stream.to_le_bytes());
    bytes.extend(data);
    bytes
}

/// Everything the session sends now, one frame each.
fn sent(session: &mut Session) -> Vec<Bytes> {
    std::iter::from_fn(|| session.poll_transmit(usize::MAX, Duration::ZERO)).collect()
}

fn read(session: &mut Session, id: pgferry_ssm_protocol::smux::StreamId) -> (Vec<u8>, Inbound) {
    let mut all = Vec::new();
    loop {
        match session.read(id, 1000) {
            Inbound::Data(data) => all.extend_from_slice(&data),
            last @ (Inbound::Pending | Inbound::Ended(_)) => return (all, last),
        }
    }
}

#[test]
fn a_connection_is_opened_used_and_closed_as_agents_know_it() {
    let mut session = Session::new(Limits::default());
    let id = session.open().unwrap();
    assert_eq!(id.number(), 3, "the first number that agents see");
    assert_eq!(session.write(id, b"hello"), 5);
    assert_eq!(sent(&mut session), [frame(SYN, 3, b""), frame(PSH, 3, b"hello")]);
    let answer = [frame(NOP, 0, b""), frame(PSH, 3, b"world"), frame(FIN, 3, b"")].concat();
    assert_eq!(session.on_bytes(&answer), Ok(Intake::Taken));
    assert_eq!(read(&mut session, id), (b"world".to_vec(), Inbound::Ended(End::Closed)));
    assert_eq!(session.write(id, b"more"), 0, "nobody would get it");
    session.close(id);
    assert_eq!(sent(&mut session), [frame(FIN, 3, b"")]);
    assert_eq!(session.streams(), 0);
    assert_eq!(session.read(id, 1), Inbound::Ended(End::Gone));
    assert_eq!(session.open().unwrap().number(), 5);
}

#[test]
fn a_close_follows_what_is_written_and_late_data_is_dropped() {
    let mut session = Session::new(Limits::default());
    let id = session.open().unwrap();
    session.write(id, b"bye");
    session.close(id);
    assert_eq!(sent(&mut session), [frame(SYN, 3, b""), frame(PSH, 3, b"bye"), frame(FIN, 3, b"")]);
    let late = [frame(PSH, 3, b"late"), frame(FIN, 3, b"")].concat();
    assert_eq!(session.on_bytes(&late), Ok(Intake::Taken));
    assert_eq!(session.read(id, 1), Inbound::Ended(End::Gone));
}

#[test]
fn a_refused_connection_is_told_from_a_closed_one() {
    let mut session = Session::new(Limits::default());
    let [used, refused, quiet] = [(); 3].map(|()| session.open().unwrap());
    drop(sent(&mut session));
    session.on_bytes(&frame(PSH, used.number(), b"x")).unwrap();
    session.on_connect_error();
    // Another stream's end may come between the flag and its FIN.
    for id in [used, refused, quiet] {
        session.on_bytes(&frame(FIN, id.number(), b"")).unwrap();
    }
    assert_eq!(read(&mut session, used).1, Inbound::Ended(End::Closed));
    assert_eq!(read(&mut session, refused).1, Inbound::Ended(End::NotConnected));
    assert_eq!(read(&mut session, quiet).1, Inbound::Ended(End::Closed));
}

#[test]
fn a_refusal_of_a_stream_that_is_gone_is_not_blamed_on_another() {
    let mut session = Session::new(Limits::default());
    let [gone, other] = [(); 2].map(|()| session.open().unwrap());
    drop(sent(&mut session));
    session.close(gone);
    assert_eq!(sent(&mut session), [frame(FIN, gone.number(), b"")]);
    session.on_connect_error();
    session.on_bytes(&frame(FIN, gone.number(), b"")).unwrap();
    session.on_bytes(&frame(FIN, other.number(), b"")).unwrap();
    assert_eq!(read(&mut session, other).1, Inbound::Ended(End::Closed));
}

#[test]
fn a_stuck_reader_stalls_nobody_up_to_its_bound_and_loses_nothing_beyond_it() {
    let limits = Limits { stream_bytes: 1000, ..Limits::default() };
    let mut session = Session::new(limits);
    let [stuck, lively] = [(); 2].map(|()| session.open().unwrap());
    for _ in 0..10 {
        let both = [frame(PSH, stuck.number(), &[1; 100]), frame(PSH, lively.number(), &[2; 100])]
            .concat();
        assert_eq!(session.on_bytes(&both), Ok(Intake::Taken));
        assert_eq!(read(&mut session, lively).0, [2; 100]);
    }
    let more =
        [frame(PSH, stuck.number(), &[3; 50]), frame(PSH, lively.number(), &[4; 50])].concat();
    assert_eq!(session.on_bytes(&more), Ok(Intake::Blocked { taken: 8, by: stuck }));
    assert_eq!(session.on_bytes(&more[8..]), Ok(Intake::Blocked { taken: 0, by: stuck }));
    assert_eq!(session.read(stuck, 20), Inbound::Data(Bytes::from_static(&[1; 20])));
    assert_eq!(session.on_bytes(&more[8..]), Ok(Intake::Blocked { taken: 20, by: stuck }));
    let (held, _) = read(&mut session, stuck);
    assert_eq!(held, [vec![1; 980], vec![3; 20]].concat());
    assert_eq!(session.on_bytes(&more[28..]), Ok(Intake::Taken));
    assert_eq!(read(&mut session, stuck).0, [3; 30]);
    assert_eq!(read(&mut session, lively).0, [4; 50]);
}

#[test]
fn an_abandoned_stream_frees_the_others_and_its_reader_sees_no_orderly_end() {
    let limits = Limits { session_bytes: 1000, ..Limits::default() };
    let mut session = Session::new(limits);
    let [stuck, lively] = [(); 2].map(|()| session.open().unwrap());
    drop(sent(&mut session));
    assert_eq!(session.on_bytes(&frame(PSH, stuck.number(), &[1; 1000])), Ok(Intake::Taken));
    let next = frame(PSH, lively.number(), b"x");
    assert_eq!(session.on_bytes(&next), Ok(Intake::Blocked { taken: 8, by: stuck }));
    session.abandon(stuck);
    assert_eq!(session.on_bytes(&next[8..]), Ok(Intake::Taken));
    assert_eq!(session.read(stuck, 1), Inbound::Ended(End::Gone));
    assert_eq!(read(&mut session, lively).0, b"x");
    assert_eq!(sent(&mut session), [frame(FIN, stuck.number(), b"")]);
}

#[test]
fn a_stream_abandoned_before_it_was_sent_is_never_dialled() {
    let mut session = Session::new(Limits::default());
    let id = session.open().unwrap();
    session.abandon(id);
    assert!(sent(&mut session).is_empty());
}

#[test]
fn streams_take_turns_and_a_frame_fits_the_room() {
    let limits = Limits { frame_bytes: 10, ..Limits::default() };
    let mut session = Session::new(limits);
    let [bulk, small] = [(); 2].map(|()| session.open().unwrap());
    drop(sent(&mut session));
    session.write(bulk, &[1; 25]);
    session.write(small, &[2; 5]);
    assert!(session.poll_transmit(8, Duration::ZERO).is_none(), "no room for a byte of data");
    assert_eq!(session.poll_transmit(12, Duration::ZERO).unwrap(), frame(PSH, 3, &[1; 4]));
    let rest = [
        frame(PSH, 5, &[2; 5]),
        frame(PSH, 3, &[1; 10]),
        frame(PSH, 3, &[1; 10]),
        frame(PSH, 3, &[1]),
    ];
    assert_eq!(sent(&mut session), rest);
}

#[test]
fn writers_and_streams_have_bounds() {
    let mut session = Session::new(Limits { streams: 1, unsent_bytes: 10, ..Limits::default() });
    let id = session.open().unwrap();
    assert_eq!(session.open(), Err(OpenError::TooMany));
    assert_eq!((session.write(id, &[0; 20]), session.room(id)), (10, 0));
    drop(sent(&mut session));
    assert_eq!(session.room(id), 10);
}

#[test]
fn what_a_target_may_not_have_read_is_counted_until_it_says_something() {
    let mut session = Session::new(Limits::default());
    let (first, second) = (session.open().unwrap(), session.open().unwrap());
    for (id, length) in [(first, 3000), (second, 500)] {
        assert_eq!(session.write(id, &vec![0; length]), length);
    }
    assert_eq!(session.unanswered_bytes(), 0, "nothing of it is sent");
    while session.poll_transmit(usize::MAX, Duration::ZERO).is_some() {}
    assert_eq!(session.unanswered_bytes(), 3500);
    session.on_bytes(b"\x01\x02\x02\x00\x03\x00\x00\x00ok").unwrap();
    assert_eq!(session.unanswered_bytes(), 500);
}

#[test]
fn keep_alives_are_sent_after_silence_and_only_if_asked_for() {
    let seconds = Duration::from_secs;
    let mut plain = Session::new(Limits::default());
    assert!(plain.poll_transmit(100, seconds(0)).is_none());
    assert!(plain.poll_transmit(100, seconds(100_000)).is_none());
    assert_eq!(plain.next_wakeup(), None);

    let limits = Limits { keep_alive: Some(seconds(60)), ..Limits::default() };
    let mut kept = Session::new(limits);
    assert!(kept.poll_transmit(100, seconds(0)).is_none());
    assert_eq!(kept.next_wakeup(), Some(seconds(60)));
    kept.open().unwrap();
    assert_eq!(kept.poll_transmit(100, seconds(50)).unwrap(), frame(SYN, 3, b""));
    assert!(kept.poll_transmit(100, seconds(109)).is_none());
    assert_eq!(kept.poll_transmit(100, seconds(110)).unwrap(), frame(NOP, 0, b""));
    assert_eq!(kept.next_wakeup(), Some(seconds(170)));
}

#[test]
fn what_no_agent_sends_ends_the_session() {
    for wrong in [frame(SYN, 2, b""), frame(4, 3, b""), vec![2, 2, 0, 0, 3, 0, 0, 0]] {
        assert!(Session::new(Limits::default()).on_bytes(&wrong).is_err(), "{wrong:?}");
    }
}

/// What an agent has read, by stream: data, and whether it ended.
fn understood(mut bytes: &[u8]) -> BTreeMap<u32, (Vec<u8>, bool)> {
    let mut streams = BTreeMap::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at(8);
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let stream = u32::from_le_bytes(head[4..].try_into().unwrap());
        let (data, rest) = rest.split_at(length);
        bytes = rest;
        match head[1] {
            SYN => assert_eq!(streams.insert(stream, (Vec::new(), false)), None),
            FIN => streams.get_mut(&stream).unwrap().1 = true,
            PSH => {
                let (all, ended) = streams.get_mut(&stream).unwrap();
                assert!(!*ended, "data behind the end");
                all.extend_from_slice(data);
            }
            other => panic!("command {other}"),
        }
    }
    streams
}

proptest! {
    #[test]
    fn every_stream_keeps_its_bytes_however_they_are_cut(
        down in proptest::collection::vec((0_u32..4, proptest::collection::vec(any::<u8>(), 0..300)), 0..60),
        cut in 1_usize..400,
        stream_bytes in 1_usize..500,
        turns in proptest::collection::vec(0_usize..4, 1..20),
    ) {
        let limits = Limits { stream_bytes, session_bytes: 800, ..Limits::default() };
        let mut session = Session::new(limits);
        let ids = [(); 4].map(|()| session.open().unwrap());
        let mut wire = Vec::new();
        let mut expected = [(); 4].map(|()| Vec::new());
        for (stream, data) in down {
            let index = usize::try_from(stream).unwrap();
            wire.extend(frame(PSH, ids[index].number(), &data));
            expected[index].extend(data);
        }
        let mut got = [(); 4].map(|()| Vec::new());
        let mut turns = turns.into_iter().cycle();
        let mut rest = &wire[..];
        while !rest.is_empty() {
            let piece = &rest[..cut.min(rest.len())];
            let taken = match session.on_bytes(piece).unwrap() {
                Intake::Taken => piece.len(),
                Intake::Blocked { taken, by } => {
                    // Whoever blocks has something to read: no deadlock.
                    let index = ids.iter().position(|id| *id == by).unwrap();
                    let Inbound::Data(data) = session.read(by, 70) else { panic!("nothing to read") };
                    got[index].extend_from_slice(&data);
                    taken
                }
            };
            rest = &rest[taken..];
            let index = turns.next().unwrap();
            got[index].extend(read(&mut session, ids[index]).0);
        }
        for (index, id) in ids.iter().enumerate() {
            got[index].extend(read(&mut session, *id).0);
        }
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn what_is_written_arrives_at_the_agent_in_order(
        up in proptest::collection::vec((0_usize..4, proptest::collection::vec(any::<u8>(), 0..300)), 0..60),
        room in 9_usize..200,
        frame_bytes in 1_usize..200,
    ) {
        let mut session = Session::new(Limits { frame_bytes, unsent_bytes: 100, ..Limits::default() });
        let ids = [(); 4].map(|()| session.open().unwrap());
        let mut expected: BTreeMap<u32, (Vec<u8>, bool)> =
            ids.iter().map(|id| (id.number(), (Vec::new(), true))).collect();
        let mut wire = Vec::new();
        for (index, data) in up {
            let mut rest = &data[..];
            while !rest.is_empty() {
                rest = &rest[session.write(ids[index], rest)..];
                if let Some(frame) = session.poll_transmit(room, Duration::ZERO) {
                    prop_assert!(frame.len() <= room);
                    wire.extend_from_slice(&frame);
                }
            }
            expected.get_mut(&ids[index].number()).unwrap().0.extend(data);
        }
        for id in ids {
            session.close(id);
        }
        wire.extend(sent(&mut session).concat());
        prop_assert_eq!(understood(&wire), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(prop_oneof![Just(1_u8), 0_u8..6, any::<u8>()], 0..400),
    ) {
        let mut session = Session::new(Limits { stream_bytes: 10, ..Limits::default() });
        session.open().unwrap();
        if let Ok(Intake::Blocked { taken, .. }) = session.on_bytes(&bytes) {
            prop_assert!(taken < bytes.len());
        }
    }
}
