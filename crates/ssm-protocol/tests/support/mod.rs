//! A network between two channels, with faults and a clock of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use pgferry_ssm_protocol::{AgentMessage, Channel, Limits, Moment, PayloadType, Role};
use uuid::Uuid;

/// So many milliseconds after the start.
pub(crate) fn at(millis: u64) -> Moment {
    moment(Duration::from_millis(millis))
}

fn moment(monotonic: Duration) -> Moment {
    let millis = u64::try_from(monotonic.as_millis()).unwrap();
    Moment { monotonic, unix_millis: 1_700_000_000_000 + millis }
}

pub(crate) fn channel(role: Role, limits: Limits) -> Channel {
    Channel::new(role, limits, Uuid::from_u128(4))
}

/// A message without payload, with the service's header of 112 bytes.
pub(crate) fn service_message(name: &str) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u32(112);
    frame.put_slice(format!("{name: <32}").as_bytes());
    frame.put_u32(1);
    frame.put_u64(1_700_000_000_000);
    frame.put_bytes(0, 112 - 48 + 4 + 4 - 4);
    frame.freeze()
}

/// Everything a channel sends from one time to another, if nobody answers.
pub(crate) fn timeline(channel: &mut Channel, from: u64, until: u64) -> Vec<(u64, AgentMessage)> {
    let (mut now, until) = (Duration::from_millis(from), Duration::from_millis(until));
    let mut sent = Vec::new();
    loop {
        while let Some(frame) = channel.poll_transmit(moment(now)) {
            let millis = u64::try_from(now.as_millis()).unwrap();
            sent.push((millis, AgentMessage::decode(&frame).unwrap()));
        }
        match channel.next_wakeup(moment(now)) {
            Some(next) if next <= until => now = next,
            _ => return sent,
        }
    }
}

pub(crate) fn drain(channel: &mut Channel, from: u64, until: u64) -> Vec<AgentMessage> {
    timeline(channel, from, until).into_iter().map(|(_, message)| message).collect()
}

/// What the network does: chances in percent, times in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) seed: u64,
    pub(crate) loss: u64,
    pub(crate) doubling: u64,
    pub(crate) longest_delay: u64,
    /// Zero: never.
    pub(crate) cut_every: u64,
    /// Messages are taken now and then, instead of at once.
    pub(crate) lazy_reader: bool,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self { seed: 1, loss: 0, doubling: 0, longest_delay: 1, cut_every: 0, lazy_reader: false }
    }
}

/// What a transfer took.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) stream_messages: u64,
    pub(crate) receipts: u64,
    pub(crate) took: Duration,
}

/// Client and agent, with the network between them.
pub(crate) struct Pair {
    faults: Faults,
    random: u64,
    now: Duration,
    ends: [End; 2],
    /// Frames under way: when they arrive, in which order they left, at which end.
    network: BinaryHeap<Reverse<(Duration, u64, usize, Bytes)>>,
    departures: u64,
    next_cut: Option<Duration>,
    sent: Sent,
}

struct End {
    channel: Channel,
    to_send: Vec<u8>,
    written: usize,
    expects: Vec<u8>,
    received: Vec<u8>,
}

impl Pair {
    pub(crate) fn new(faults: Faults, limits: Limits) -> Self {
        let end = |role| {
            let mut channel = channel(role, limits);
            channel.handshake_completed();
            channel.connected(at(0));
            let nothing = Vec::new;
            End { channel, to_send: nothing(), written: 0, expects: nothing(), received: nothing() }
        };
        let next_cut = (faults.cut_every > 0).then(|| Duration::from_millis(faults.cut_every));
        Self {
            faults,
            random: faults.seed,
            now: Duration::ZERO,
            ends: [end(Role::Client), end(Role::Agent)],
            network: BinaryHeap::new(),
            departures: 0,
            next_cut,
            sent: Sent::default(),
        }
    }

    /// Sends so many bytes up and down, and returns when each end knows that the other has them all.
    pub(crate) fn transfer(&mut self, up: usize, down: usize) -> &Sent {
        let bytes = |count, pair: &mut Self| -> Vec<u8> {
            (0..count).map(|_| pair.random(256).to_le_bytes()[0]).collect()
        };
        let (up, down) = (bytes(up, self), bytes(down, self));
        self.ends[0].expects.clone_from(&down);
        self.ends[1].expects.clone_from(&up);
        self.ends[0].to_send = up;
        self.ends[1].to_send = down;
        while !self.is_done() {
            self.step();
            assert!(self.now < Duration::from_hours(1), "no progress");
        }
        for end in &self.ends {
            assert!(end.received == end.expects, "other bytes than were sent");
        }
        self.sent.took = self.now;
        &self.sent
    }

    fn is_done(&self) -> bool {
        self.ends.iter().all(|end| {
            end.written == end.to_send.len()
                && end.received.len() >= end.expects.len()
                && end.channel.is_flushed()
        })
    }

    fn step(&mut self) {
        self.cut_if_due();
        for index in 0..2 {
            let take = !self.faults.lazy_reader || self.random(3) == 0;
            let end = &mut self.ends[index];
            end.written += end.channel.write(&end.to_send[end.written..]);
            while take && let Some(received) = end.channel.receive() {
                assert_eq!(received.payload_type, PayloadType::Output);
                end.received.extend_from_slice(&received.payload);
            }
            while let Some(frame) = self.ends[index].channel.poll_transmit(moment(self.now)) {
                self.count(&frame);
                self.send(&frame, 1 - index);
            }
        }
        self.advance();
        self.arrive();
    }

    fn advance(&mut self) {
        let now = moment(self.now);
        let wakeups = self.ends.iter().filter_map(|end| end.channel.next_wakeup(now));
        let arrival = self.network.peek().map(|Reverse((time, ..))| *time);
        let next = wakeups.chain(arrival).chain(self.next_cut).min();
        // A lazy reader comes back by itself.
        let soon = self.now + Duration::from_millis(5);
        let next = next.filter(|_| !self.faults.lazy_reader).unwrap_or(soon);
        self.now = next.max(self.now);
    }

    /// Frames behind one that is not wanted wait in the kernel's buffers.
    fn arrive(&mut self) {
        let mut waiting = Vec::new();
        while let Some(Reverse((time, order, index, frame))) = self.network.pop() {
            if time > self.now {
                waiting.push(Reverse((time, order, index, frame)));
                break;
            }
            if self.ends[index].channel.wants_frames() {
                self.ends[index].channel.on_frame(&frame, moment(self.now)).unwrap();
            } else {
                waiting.push(Reverse((time, order, index, frame)));
            }
        }
        self.network.extend(waiting);
    }

    fn send(&mut self, frame: &Bytes, to: usize) {
        if self.random(100) < self.faults.loss {
            return;
        }
        let copies = if self.random(100) < self.faults.doubling { 2 } else { 1 };
        for _ in 0..copies {
            let delay = Duration::from_millis(self.random(self.faults.longest_delay));
            self.departures += 1;
            let frame = frame.clone();
            self.network.push(Reverse((self.now + delay, self.departures, to, frame)));
        }
    }

    /// Both ends lose the connection with everything under way, and have another at once.
    fn cut_if_due(&mut self) {
        if self.next_cut.is_some_and(|due| due <= self.now) {
            self.network.clear();
            for end in &mut self.ends {
                end.channel.disconnected();
                assert!(end.channel.poll_transmit(moment(self.now)).is_none());
                end.channel.connected(moment(self.now));
            }
            let next = self.faults.cut_every + self.random(1000);
            self.next_cut = Some(self.now + Duration::from_millis(next));
        }
    }

    fn count(&mut self, frame: &[u8]) {
        if frame[4..].starts_with(b"acknowledge") {
            self.sent.receipts += 1;
        } else {
            self.sent.stream_messages += 1;
        }
    }

    /// Below `limit`; `SplitMix64`.
    fn random(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
