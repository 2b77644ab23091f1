//! Channel, handshake and streams together, as a transport drives them.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    reason = "a test ends by panicking, and other tests use the rest of what supports this one"
)]

mod support;

use bytes::{Buf as _, Bytes};
use pgferry_ssm_protocol::smux::{self, Inbound, Intake, StreamId};
use pgferry_ssm_protocol::{Channel, Handshake, Limits, Moment, PayloadType, Progress, Role};
use support::{at, channel};

/// Both ends of a channel with nothing between them, and the client's streams.
struct Whole {
    client: Channel,
    agent: Channel,
    streams: smux::Session,
    /// What the streams did not take.
    rest: Bytes,
    millis: u64,
    /// Frames that the client did not read.
    unread: Vec<Bytes>,
}

impl Whole {
    fn new(limits: Limits, stream_limits: smux::Limits) -> Self {
        let mut whole = Self {
            client: channel(Role::Client, limits),
            agent: channel(Role::Agent, Limits::default()),
            streams: smux::Session::new(stream_limits),
            rest: Bytes::new(),
            millis: 0,
            unread: Vec::new(),
        };
        whole.client.connected(at(0));
        whole.agent.connected(at(0));
        whole
    }

    fn shake_hands(&mut self) {
        let request = r#"{"AgentVersion":"3.3.1142.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":{"SessionType":"Port","Properties":{"host":"db","portNumber":"5432","type":"LocalPortForwarding"}}}]}"#;
        assert!(self.agent.send_control(PayloadType::HandshakeRequest, request.into()));
        self.carry();
        let received = self.client.receive().unwrap();
        let Progress::Answer { response, next } = Handshake::new().on_received(&received) else {
            panic!("no answer");
        };
        assert!(self.client.send_control(PayloadType::HandshakeResponse, response));
        self.carry();
        assert_eq!(self.agent.receive().unwrap().payload_type, PayloadType::HandshakeResponse);
        assert!(self.agent.send_control(PayloadType::HandshakeComplete, "{}".into()));
        self.carry();
        let received = self.client.receive().unwrap();
        assert!(matches!(next.on_received(&received), Progress::Complete(_)));
        self.client.handshake_completed();
        self.agent.handshake_completed();
    }

    /// Lets ten milliseconds pass, in which frames go both ways.
    fn carry(&mut self) {
        for _ in 0..10 {
            self.millis += 1;
            let now: Moment = at(self.millis);
            while let Some(frame) = self.streams.poll_transmit(self.client.room(), now.monotonic) {
                assert_eq!(self.client.write(&frame), frame.len());
            }
            while let Some(frame) = self.client.poll_transmit(now) {
                self.agent.on_frame(&frame, now).unwrap();
            }
            while let Some(frame) = self.agent.poll_transmit(now) {
                self.unread.push(frame);
            }
            let mut arrived = self.unread.drain(..);
            while self.client.wants_frames()
                && let Some(frame) = arrived.next()
            {
                self.client.on_frame(&frame, now).unwrap();
            }
            self.unread = arrived.collect();
        }
    }

    /// Hands the channel's data on to the streams until one is in the way.
    fn distribute(&mut self) {
        loop {
            if self.rest.is_empty() {
                let Some(received) = self.client.receive() else { return };
                self.rest = received.payload;
            }
            match self.streams.on_bytes(&self.rest).unwrap() {
                Intake::Taken => self.rest.clear(),
                Intake::Blocked { taken, .. } => {
                    self.rest.advance(taken);
                    return;
                }
            }
        }
    }

    fn read(&mut self, id: StreamId) -> Vec<u8> {
        let mut all = Vec::new();
        while let Inbound::Data(data) = self.streams.read(id, usize::MAX) {
            all.extend_from_slice(&data);
        }
        all
    }
}

#[test]
fn a_stuck_reader_stops_the_connection_and_nothing_is_lost_when_it_goes_on() {
    let limits = Limits { held_bytes: 8 * 1024, ..Limits::default() };
    let stream_limits = smux::Limits { stream_bytes: 16 * 1024, ..smux::Limits::default() };
    let mut whole = Whole::new(limits, stream_limits);
    whole.shake_hands();
    let id = whole.streams.open().unwrap();
    whole.carry();
    assert_eq!(&whole.agent.receive().unwrap().payload[..], [1, 0, 0, 0, 3, 0, 0, 0]);

    let data: Vec<u8> = (0..60_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let mut psh = vec![1, 2];
    psh.extend(60_000_u16.to_le_bytes());
    psh.extend(3_u32.to_le_bytes());
    psh.extend(&data);
    assert_eq!(whole.agent.write(&psh), psh.len());
    for _ in 0..100 {
        whole.carry();
        whole.distribute();
    }
    assert!(!whole.client.wants_frames(), "the connection is not read any more");
    assert!(!whole.agent.is_flushed(), "and the agent knows that not everything has arrived");

    let mut got = Vec::new();
    for _ in 0..100 {
        got.extend(whole.read(id));
        whole.distribute();
        whole.carry();
    }
    got.extend(whole.read(id));
    assert!(got == data, "{} of 60000 bytes, or others", got.len());
    assert!(whole.agent.is_flushed());
}
