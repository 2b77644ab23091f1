use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::channel::{Limits, Role};
use crate::message::AgentMessage;
use crate::message_id::MessageIds;
use crate::moment::Moment;
use crate::pace::Pace;
use crate::payload_type::PayloadType;
use crate::rtt::Rtt;

/// Numbers our messages, and repeats each until there is a receipt for it.
///
/// The peers repeat the oldest alone. Ours repeats every message on its own timer, which their reordering allows: a
/// backlog after a break goes out as fast as the pace permits, instead of one message per round trip.
#[derive(Debug)]
pub(crate) struct Outgoing {
    role: Role,
    limits: Limits,
    ids: MessageIds,
    next: i64,
    /// Handshake and flags: they go before data, and when data may not.
    control: VecDeque<(PayloadType, Bytes)>,
    /// Data that has no number yet, so that small writes become full messages.
    unsent: BytesMut,
    data: Data,
    unacknowledged: BTreeMap<i64, InFlight>,
    /// When to repeat which: the same messages as above.
    timers: BTreeSet<(Duration, i64)>,
    pace: Pace,
    rtt: Rtt,
    paused_since: Option<Duration>,
    heard_at: Duration,
    /// Of payload, repetitions left out.
    sent_bytes: u64,
    repeated: u64,
}

/// Before the handshake is complete, the agent acknowledges data and throws it away.
#[derive(Debug, PartialEq, Eq)]
enum Data {
    Withheld,
    Flowing,
}

#[derive(Debug)]
struct InFlight {
    frame: Bytes,
    sent_at: Duration,
    due: Duration,
    repetitions: u32,
    /// How often its timeout is doubled: as new ones were when it was sent, and once more for each repetition.
    doubled: u32,
    place: Place,
}

/// Where a message was sent.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// On one connection alone.
    Here,
    /// On a connection that is gone; not yet on this one.
    Before,
    /// On both.
    Both,
}

impl Outgoing {
    pub(crate) fn new(role: Role, limits: Limits, ids: MessageIds) -> Self {
        Self {
            role,
            limits,
            ids,
            next: 0,
            control: VecDeque::new(),
            unsent: BytesMut::new(),
            data: Data::Withheld,
            unacknowledged: BTreeMap::new(),
            timers: BTreeSet::new(),
            pace: Pace::new(limits.messages_per_second),
            rtt: Rtt::new(),
            paused_since: None,
            heard_at: Duration::ZERO,
            sent_bytes: 0,
            repeated: 0,
        }
    }

    pub(crate) fn let_data_flow(&mut self) {
        self.data = Data::Flowing;
    }

    pub(crate) fn room(&self) -> usize {
        self.limits.unsent_bytes.saturating_sub(self.unsent.len())
    }

    /// Takes as much as there is room for.
    pub(crate) fn write(&mut self, data: &[u8]) -> usize {
        let taken = data.get(..self.room()).unwrap_or(data);
        self.unsent.extend_from_slice(taken);
        taken.len()
    }

    pub(crate) fn send_control(&mut self, payload_type: PayloadType, payload: Bytes) -> bool {
        let room = self.control.len() < CONTROL_MESSAGES;
        if room {
            self.control.push_back((payload_type, payload));
        }
        room
    }

    /// There is a receipt for this message.
    pub(crate) fn acknowledge(&mut self, number: i64, now: Duration) {
        let Some(message) = self.unacknowledged.remove(&number) else { return };
        self.timers.remove(&(message.due, number));
        self.heard_at = self.heard_at.max(now);
        // The time of a break is no sample.
        if message.repetitions == 0 && message.place == Place::Here {
            self.rtt.sample(now.saturating_sub(message.sent_at));
        }
    }

    /// On a new connection everything without a receipt goes again, at once and from the oldest on.
    pub(crate) fn resume(&mut self, now: Duration) {
        self.paused_since = None;
        self.heard_at = self.heard_at.max(now);
        self.timers.clear();
        self.rtt.begin_anew();
        for (number, message) in &mut self.unacknowledged {
            message.due = now;
            // Its waits have nothing to do with this connection.
            message.repetitions = 0;
            message.doubled = 0;
            message.place = Place::Before;
            self.timers.insert((now, *number));
        }
    }

    pub(crate) fn pause(&mut self, now: Duration) {
        self.paused_since.get_or_insert(now);
    }

    pub(crate) fn unpause(&mut self) {
        self.paused_since = None;
    }

    pub(crate) fn paused_for(&self, now: Duration) -> Option<Duration> {
        self.paused_since.map(|since| now.saturating_sub(since))
    }

    /// How long messages wait for receipts while none comes at all.
    pub(crate) fn unheard_for(&self, now: Duration) -> Option<Duration> {
        Some(now.saturating_sub(self.oldest_sent_at()?.max(self.heard_at)))
    }

    /// When the oldest message without a receipt was first sent.
    pub(crate) fn oldest_sent_at(&self) -> Option<Duration> {
        // Numbers are given in the order of sending.
        self.unacknowledged.first_key_value().map(|(_, oldest)| oldest.sent_at)
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// How long the latest receipt took, if there was one since this was asked.
    pub(crate) fn take_round_trip(&mut self) -> Option<Duration> {
        self.rtt.take_latest()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unsent.is_empty() && self.control.is_empty() && self.unacknowledged.is_empty()
    }

    /// The next frame, if it is time for one.
    pub(crate) fn poll_transmit(&mut self, now: Moment) -> Option<Bytes> {
        if self.next_wakeup(now.monotonic)? > now.monotonic {
            return None;
        }
        let due = self.first_timer(now.monotonic).filter(|(due, _)| *due <= now.monotonic);
        let frame = match due.map(|(_, number)| number) {
            Some(number) => self.repeat(number, now.monotonic)?,
            None => self.send_new(now)?,
        };
        self.pace.take(now.monotonic);
        Some(frame)
    }

    /// When to ask for a frame again: not before `now`, and nothing if only the peer can change anything.
    pub(crate) fn next_wakeup(&self, now: Duration) -> Option<Duration> {
        let repeat = self.first_timer(now).map(|(due, _)| due);
        let new = self.has_something_new().then_some(now);
        let due = repeat.into_iter().chain(new).min()?;
        Some(due.max(self.pace.ready_at()).max(now))
    }

    /// During a pause, and while no receipt comes at all, the oldest alone is repeated: its receipt would end either. An agent
    /// whose database does not read gives none, and copies of everything would not help it.
    fn first_timer(&self, now: Duration) -> Option<(Duration, i64)> {
        if self.is_held_up(now) {
            let (number, message) = self.unacknowledged.first_key_value()?;
            return Some((message.due, *number));
        }
        self.timers.first().copied()
    }

    /// Whether something else than the network keeps receipts from coming.
    fn is_held_up(&self, now: Duration) -> bool {
        let silent = self.unheard_for(now).is_some_and(|silence| silence >= SILENCE);
        silent || self.paused_since.is_some()
    }

    fn has_something_new(&self) -> bool {
        let may_flow = self.data == Data::Flowing
            && self.paused_since.is_none()
            && self.unacknowledged.len() < self.limits.unacknowledged_messages;
        !self.control.is_empty() || may_flow && !self.unsent.is_empty()
    }

    fn repeat(&mut self, number: i64, now: Duration) -> Option<Bytes> {
        let held_up = self.is_held_up(now);
        let message = self.unacknowledged.get_mut(&number)?;
        self.timers.remove(&(message.due, number));
        if message.place == Place::Before {
            message.place = Place::Both;
        } else {
            message.repetitions = message.repetitions.saturating_add(1);
            message.doubled = message.doubled.saturating_add(1);
            if !held_up {
                self.rtt.expired(message.doubled);
            }
        }
        message.due = now + self.rtt.timeout(message.doubled);
        self.timers.insert((message.due, number));
        self.repeated += 1;
        Some(message.frame.clone())
    }

    fn send_new(&mut self, now: Moment) -> Option<Bytes> {
        if !self.has_something_new() {
            return None;
        }
        let (payload_type, payload) = self.control.pop_front().unwrap_or_else(|| {
            let length = self.unsent.len().min(self.limits.payload_bytes.max(1));
            (PayloadType::Output, self.unsent.split_to(length).freeze())
        });
        self.sent_bytes += payload.len() as u64;
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let first_of_agent = self.role == Role::Agent && number == 0;
        let message = AgentMessage {
            message_type: self.role.stream_type(),
            schema_version: 1,
            created_date: now.unix_millis.max(1),
            sequence_number: number,
            flags: if first_of_agent { AgentMessage::SYN } else { 0 },
            id: self.ids.draw(),
            payload_type,
            payload,
        };
        let frame = message.encode();
        let doubled = self.rtt.back_off();
        let due = now.monotonic + self.rtt.timeout(doubled);
        self.timers.insert((due, number));
        let (sent_at, place) = (now.monotonic, Place::Here);
        let in_flight =
            InFlight { frame: frame.clone(), sent_at, due, repetitions: 0, doubled, place };
        self.unacknowledged.insert(number, in_flight);
        Some(frame)
    }
}

/// Longer than any round trip, and than it takes to repeat a full backlog once.
const SILENCE: Duration = Duration::from_secs(5);

/// A session has one handshake and one end: more than this is a mistake of the caller.
const CONTROL_MESSAGES: usize = 64;
