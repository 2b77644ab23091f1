//! One session's channel and streams, shared by the task that drives them and the connections in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use pgferry_ssm_protocol::smux::{End, Inbound, StreamId};
use pgferry_ssm_protocol::{Event, Flag, Limits, Moment, PayloadType, Tally};
use pgferry_transport_sdk::Error;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::destination::Destination;
use crate::lane::Lane;
use crate::refusal;
use crate::state::State;
use crate::streams::Streams;

/// A session, from its handshake to its end, over `WebSocket`s that come and go.
pub(crate) struct Line {
    pub(crate) to: Destination,
    /// For messages.
    pub(crate) node: String,
    standing: watch::Sender<Standing>,
    state: Mutex<State>,
    /// There may be something to send.
    pub(crate) work: Notify,
    /// There may be room for frames.
    pub(crate) taken: Notify,
    /// A connection has ended, or no more are wanted.
    pub(crate) freed: Notify,
    began: Instant,
    began_unix: Duration,
}

/// Where a session stands.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// The agent has not said yet that data may flow.
    Opening,
    Open,
    /// For good, and why.
    Over(Error),
}

/// What a session carries: the less, the better for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Load {
    /// Somebody does not read as fast as data come, and may stop the others.
    behind: bool,
    pub(crate) connections: usize,
}

/// What to do next on the WebSocket.
pub(crate) enum Step {
    Send(Bytes),
    /// Nothing, until something happens or this moment.
    Wait(Option<Instant>),
}

/// Why a connection has nothing more to read.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The agent could not connect to the database.
    NotConnected,
    /// The session is over.
    Over(Error),
}

/// What a session may use, and what its messages begin with.
pub(crate) struct Terms {
    pub(crate) limits: Limits,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) seed: Uuid,
    /// Now, since 1970.
    pub(crate) unix: Duration,
}

impl Line {
    pub(crate) fn new(to: Destination, node: String, terms: &Terms) -> Arc<Self> {
        Arc::new(Self {
            to,
            node,
            standing: watch::Sender::new(Standing::Opening),
            state: Mutex::new(State::new(terms)),
            work: Notify::new(),
            taken: Notify::new(),
            freed: Notify::new(),
            began: Instant::now(),
            began_unix: terms.unix,
        })
    }

    /// Opens a stream, unless the session takes no more.
    pub(crate) fn open(self: &Arc<Self>) -> Option<Lane> {
        if !matches!(*self.standing.borrow(), Standing::Open) {
            return None;
        }
        let mut state = self.state();
        if state.retired {
            return None;
        }
        let id = state.streams.open()?;
        state.retired |= state.streams.is_used_up();
        state.used_at = Instant::now();
        drop(state);
        self.work.notify_one();
        Some(Lane::new(Arc::clone(self), id))
    }

    /// What it carries; none if it takes no more connections, or had better not.
    pub(crate) fn load(&self) -> Option<Load> {
        if !matches!(*self.standing.borrow(), Standing::Open) {
            return None;
        }
        let state = self.state();
        let silent = state.channel.unheard_for(self.now()).is_some_and(|time| time > SILENCE);
        let stuck = !state.unread.is_empty();
        let usable = !(state.retired || silent || stuck || state.broken.is_some());
        usable.then(|| Load {
            behind: state.streams.unread_bytes() >= BEHIND,
            connections: state.streams.count(),
        })
    }

    /// When the agent, silent so far, is to be given up; nothing while it owes no sign of life.
    pub(crate) fn agent_is_due(&self, patience: Duration) -> Option<Instant> {
        let state = self.state();
        let silence = state.channel.silent_for(self.now())?;
        Some(Instant::now() + state.patience(patience).saturating_sub(silence))
    }

    /// How long the agent has been silent, if that is too long.
    pub(crate) fn silence_beyond(&self, patience: Duration) -> Option<Duration> {
        let state = self.state();
        let silence = state.channel.silent_for(self.now())?;
        (silence >= state.patience(patience)).then_some(silence)
    }

    /// How many signs of life the agent has given.
    pub(crate) fn signs_of_life(&self) -> u64 {
        self.state().channel.signs_of_life()
    }

    /// Whether it carries one connection alone.
    pub(crate) fn is_raw(&self) -> bool {
        matches!(self.state().streams, Streams::One(_))
    }

    /// Takes no new connections from now on, and ends with the last.
    pub(crate) fn retire(&self) {
        self.state().retired = true;
        self.freed.notify_one();
    }

    /// Ends it, for everybody in it. The first reason stays.
    pub(crate) fn end(&self, error: Error) {
        self.standing.send_if_modified(|standing| {
            let first = !matches!(standing, Standing::Over(_));
            if first {
                *standing = Standing::Over(error);
            }
            first
        });
        self.state().wake_all();
    }

    /// Where it stands, and when that changes.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Why it is over.
    pub(crate) fn fate(&self) -> Option<Error> {
        match &*self.standing.borrow() {
            Standing::Over(error) => Some(error.clone()),
            Standing::Opening | Standing::Open => None,
        }
    }

    /// Why there is no WebSocket just now.
    pub(crate) fn broken(&self) -> Option<String> {
        self.state().broken.clone()
    }

    pub(crate) fn connected(&self) {
        let now = self.now();
        let mut state = self.state();
        state.channel.connected(now);
        state.broken = None;
        drop(state);
        self.work.notify_one();
    }

    pub(crate) fn disconnected(&self, reason: &str) {
        let mut state = self.state();
        state.channel.disconnected();
        state.broken = Some(reason.to_owned());
    }

    /// From when on nobody has needed it; nothing while somebody does.
    pub(crate) fn unused_since(&self) -> Option<Instant> {
        self.state().unused_since()
    }

    /// Retires it if nobody has needed it for so long, or it is retired already and nobody needs it. Once this is
    /// true no connection comes any more.
    pub(crate) fn retire_unused(&self, idle_limit: Duration) -> bool {
        let mut state = self.state();
        let Some(since) = state.unused_since() else { return false };
        state.retired |= since.elapsed() >= idle_limit;
        state.retired
    }

    pub(crate) fn wants_frames(&self) -> bool {
        self.state().channel.wants_frames()
    }

    /// How long the service has wanted no data.
    pub(crate) fn paused_for(&self) -> Option<Duration> {
        self.state().channel.paused_for(self.now())
    }

    /// What it has carried since this was asked last.
    pub(crate) fn take_tally(&self) -> Tally {
        let mut state = self.state();
        let tally = state.channel.tally();
        let earlier = std::mem::replace(&mut state.told, tally);
        tally.since(earlier)
    }

    /// How long the latest receipt took, if there was one since this was asked last.
    pub(crate) fn take_round_trip(&self) -> Option<Duration> {
        self.state().channel.take_round_trip()
    }

    /// Takes a frame of the WebSocket.
    pub(crate) fn on_frame(&self, frame: &Bytes) {
        let now = self.now();
        let mut state = self.state();
        match state.channel.on_frame(frame, now) {
            Ok(Event::Closed(closed)) => {
                let over = closed.output.is_empty() && state.streams.on_end();
                drop(state);
                return self.end(if over {
                    refusal::connection_closed()
                } else {
                    refusal::closed(&closed, &self.to)
                });
            }
            Ok(Event::Paused) => tracing::debug!("the service wants no data just now"),
            // It may have been the last one that a connection waited for.
            Ok(Event::Acknowledged) if state.is_left() => self.freed.notify_one(),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a frame that is none of the protocol"),
        }
        let outcome = state.take_messages(&self.node);
        state.wake_all();
        drop(state);
        match outcome {
            Ok(true) => drop(self.standing.send_if_modified(|standing| {
                let opened = matches!(standing, Standing::Opening);
                if opened {
                    *standing = Standing::Open;
                }
                opened
            })),
            Ok(false) => {}
            Err(error) => self.end(error),
        }
        self.work.notify_one();
    }

    /// What the WebSocket has to do next.
    pub(crate) fn step(&self) -> Step {
        let now = self.now();
        let mut state = self.state();
        if state.move_out(now.monotonic) {
            state.wake_writers();
        }
        match state.channel.poll_transmit(now) {
            Some(frame) => Step::Send(frame),
            None => Step::Wait(state.next_wakeup(now).map(|at| self.began + at)),
        }
    }

    /// Queues the flag that ends the session at the agent's. In the handshake the agent waits for its
    /// answer and takes nothing else: then `TerminateSession` alone ends it.
    pub(crate) fn say_goodbye(&self) {
        let mut state = self.state();
        if state.handshake.is_none() {
            let flag = Flag::TerminateSession.encode();
            // No place for it: TerminateSession does the same.
            let _ = state.channel.send_control(PayloadType::Flag, flag);
        }
    }

    pub(crate) fn poll_read(
        &self,
        id: StreamId,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Ending>> {
        let mut state = self.state();
        match state.streams.read(id, READ) {
            Inbound::Data(data) => {
                let outcome = state.take_messages(&self.node);
                drop(state);
                self.taken.notify_one();
                self.work.notify_one();
                if let Err(error) = outcome {
                    self.end(error);
                }
                Poll::Ready(Ok(Some(data)))
            }
            Inbound::Ended(End::Closed) => Poll::Ready(Ok(None)),
            Inbound::Ended(End::NotConnected) => Poll::Ready(Err(Ending::NotConnected)),
            Inbound::Ended(End::Gone) => {
                Poll::Ready(Err(Ending::Over(Error::internal("the connection is closed already"))))
            }
            Inbound::Pending => {
                state.readers.insert(id, cx.waker().clone());
                drop(state);
                self.fate().map_or(Poll::Pending, |error| Poll::Ready(Err(Ending::Over(error))))
            }
        }
    }

    /// Takes as much of `data` as there is room for now, and says how much that was.
    pub(crate) fn write(&self, id: StreamId, data: &[u8]) -> usize {
        let taken = self.state().streams.write(id, data);
        if taken > 0 {
            self.work.notify_one();
        }
        taken
    }

    /// Takes at least a byte of `data`.
    pub(crate) fn poll_write(&self, id: StreamId, data: &[u8], cx: &Context<'_>) -> Poll<usize> {
        let mut state = self.state();
        let taken = state.streams.write(id, data);
        if taken == 0 {
            // The other direction learns if there will never be room.
            state.writers.insert(id, cx.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        self.work.notify_one();
        Poll::Ready(taken)
    }

    pub(crate) fn close(&self, id: StreamId) {
        let mut state = self.state();
        state.readers.remove(&id);
        state.writers.remove(&id);
        state.streams.close(id);
        state.used_at = Instant::now();
        // What it had not read may have stopped the others.
        let outcome = state.take_messages(&self.node);
        state.wake_all();
        drop(state);
        if let Err(error) = outcome {
            self.end(error);
        }
        self.work.notify_one();
        self.taken.notify_one();
    }

    fn now(&self) -> Moment {
        let monotonic = self.began.elapsed();
        let unix = (self.began_unix + monotonic).as_millis();
        Moment { monotonic, unix_millis: u64::try_from(unix).unwrap_or(u64::MAX) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More lies unread of an application that does something else than read.
const BEHIND: usize = 512 * 1024;
/// At most so much at once for one connection.
const READ: usize = 64 * 1024;
/// A session whose agent gives no receipts for so long gets no new connections.
const SILENCE: Duration = Duration::from_secs(10);
