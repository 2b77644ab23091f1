//! What tests have asked for, shared by the service, its sessions and their agents.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{disorder::Disorder, message::Broken};
use crate::{aws::Clock, fault_relay::Direction};

/// A rule that a client broke, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The session's id.
    pub session: String,
    /// The rule, in words.
    pub rule: String,
}

pub(super) struct Conditions {
    pub(super) clock: Clock,
    /// Wakes those who wait for something to happen to a session.
    pub(super) news: News,
    /// `WebSocket`s neither read nor write while it is true.
    pub(super) hole: watch::Sender<bool>,
    /// Agents do not get beyond dialling while it is true.
    pub(super) dials_held: watch::Sender<bool>,
    pub(super) cut: watch::Sender<Cut>,
    settings: Mutex<Settings>,
    breaches: Mutex<Vec<Breach>>,
}

/// An order to end every `WebSocket` that is open; a new one when the number changes.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) number: u64,
    pub(super) how: How,
}

#[derive(Clone, Debug)]
pub(super) enum How {
    /// With a close frame.
    Close(u16, String),
    Reset,
}

pub(super) struct Settings {
    pub(super) names: HashMap<String, SocketAddr>,
    pub(super) forbidden: Vec<IpAddr>,
    /// From one message of an agent's data to the next.
    pub(super) rest: Duration,
    pub(super) payload_limit: usize,
    /// Client messages of data a second.
    pub(super) pace_limit: usize,
    pub(super) idle_timeout: Duration,
    /// What stream addresses begin with, instead of the address that was called.
    pub(super) stream_base: Option<String>,
    /// Whether stream addresses are signed by the service.
    pub(super) presigned: bool,
    pub(super) towards_agent: Lanes,
    pub(super) towards_client: Lanes,
}

/// The faults of one direction.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) disorder: Disorder,
    /// How many receipts are to get lost next.
    pub(super) lose_receipts: usize,
    /// How many messages other than receipts are to get lost next.
    pub(super) lose_data: usize,
}

#[derive(Default)]
pub(super) struct News {
    count: Mutex<u64>,
    grown: Condvar,
}

impl Conditions {
    pub(super) fn new(clock: Clock) -> Self {
        let cut = Cut { number: 0, how: How::Reset };
        Self {
            clock,
            news: News::default(),
            hole: watch::Sender::new(false),
            dials_held: watch::Sender::new(false),
            cut: watch::Sender::new(cut),
            settings: Mutex::default(),
            breaches: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn breaches(&self) -> MutexGuard<'_, Vec<Breach>> {
        self.breaches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn broken(&self, session: &str, Broken(rule): Broken) {
        self.breaches().push(Breach { session: session.to_owned(), rule });
        self.news.tell();
    }

    /// Unix milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.clock.now() * 1000
    }
}

impl Settings {
    pub(super) fn lanes(&mut self, direction: Direction) -> &mut Lanes {
        match direction {
            Direction::TowardsBackend => &mut self.towards_agent,
            Direction::TowardsFrontend => &mut self.towards_client,
        }
    }
}

impl Lanes {
    /// Whether a message is the one to lose.
    pub(super) fn loses(&mut self, receipt: bool) -> bool {
        let left = if receipt { &mut self.lose_receipts } else { &mut self.lose_data };
        let lost = *left > 0;
        *left = left.saturating_sub(1);
        lost
    }
}

impl News {
    pub(super) fn tell(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.grown.notify_all();
    }

    /// Blocks until `condition`, asked again after every piece of news; false after `limit`.
    pub(super) fn wait(&self, limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let ends = Instant::now() + limit;
        loop {
            let seen = *self.count.lock().unwrap_or_else(PoisonError::into_inner);
            if condition() {
                return true;
            }
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.grown.wait_timeout_while(count, left, |count| *count == seen);
            drop(waited);
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            names: HashMap::new(),
            forbidden: Vec::new(),
            rest: Duration::from_micros(1400),
            payload_limit: 1024,
            pace_limit: 1000,
            idle_timeout: Duration::from_mins(20),
            stream_base: None,
            presigned: false,
            towards_agent: Lanes::default(),
            towards_client: Lanes::default(),
        }
    }
}
