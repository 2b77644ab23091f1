//! What a session's channel, streams and connections are at, under the line's lock.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use pgferry_ssm_protocol::smux::{self, StreamId};
use pgferry_ssm_protocol::{
    Channel, Flag, Handshake, Mode, Moment, PayloadType, Progress, Received, Role, Tally,
};
use pgferry_transport_sdk::Error;
use tokio::time::Instant;

use crate::line::Terms;
use crate::refusal;
use crate::streams::Streams;

/// A session's channel, the streams in it, and who waits for them.
pub(crate) struct State {
    pub(crate) channel: Channel,
    pub(crate) streams: Streams,
    /// Until the agent has said that data may flow.
    pub(crate) handshake: Option<Handshake>,
    /// What the streams have not taken.
    pub(crate) unread: Bytes,
    pub(crate) readers: BTreeMap<StreamId, Waker>,
    pub(crate) writers: BTreeMap<StreamId, Waker>,
    /// Why there is no WebSocket, if there is none.
    pub(crate) broken: Option<String>,
    pub(crate) retired: bool,
    pub(crate) used_at: Instant,
    /// Of the channel's tally, what has been told already.
    pub(crate) told: Tally,
}

impl State {
    pub(crate) fn new(terms: &Terms) -> Self {
        let streams = smux::Limits { keep_alive: terms.keep_alive, ..smux::Limits::default() };
        Self {
            channel: Channel::new(Role::Client, terms.limits, terms.seed),
            streams: Streams::several(streams),
            handshake: Some(Handshake::new()),
            unread: Bytes::new(),
            readers: BTreeMap::new(),
            writers: BTreeMap::new(),
            broken: None,
            retired: false,
            used_at: Instant::now(),
            told: Tally::default(),
        }
    }

    /// Hands on what has come in order, as far as it is taken. True: the handshake is complete now.
    ///
    /// Errors: the session cannot go on.
    pub(crate) fn take_messages(&mut self, node: &str) -> Result<bool, Error> {
        let mut opened = false;
        loop {
            if !self.unread.is_empty() {
                self.feed()?;
                if !self.unread.is_empty() {
                    return Ok(opened);
                }
            }
            let Some(received) = self.channel.receive() else { return Ok(opened) };
            match self.handshake.take() {
                Some(handshake) => opened |= self.greet(handshake, &received, node)?,
                None => self.on_message(received),
            }
        }
    }

    /// How long the agent may be silent. One whose database does not read is, too, once its buffers are full.
    pub(crate) fn patience(&self, usual: Duration) -> Duration {
        if self.streams.unanswered_bytes() < BULK { usual } else { usual * 12 }
    }

    fn feed(&mut self) -> Result<(), Error> {
        let strange = |_| Error::protocol("the SSM agent sent something else than streams");
        let taken = self.streams.on_bytes(&self.unread).map_err(strange)?;
        self.unread.advance(taken);
        Ok(())
    }

    fn on_message(&mut self, received: Received) {
        match received.payload_type {
            PayloadType::Output => self.unread = received.payload,
            PayloadType::Flag
                if Flag::decode(&received.payload) == Some(Flag::ConnectToPortError) =>
            {
                self.streams.on_connect_error();
            }
            other => tracing::debug!(?other, "a message that is not for connections"),
        }
    }

    fn greet(
        &mut self,
        handshake: Handshake,
        received: &Received,
        node: &str,
    ) -> Result<bool, Error> {
        match handshake.on_received(received) {
            Progress::Answer { response, next } => {
                // The first control message always has a place.
                let _ = self.channel.send_control(PayloadType::HandshakeResponse, response);
                self.handshake = Some(next);
                Ok(false)
            }
            Progress::Ignored(next) => {
                self.handshake = Some(next);
                Ok(false)
            }
            Progress::Complete(agreement) => {
                if agreement.mode == Mode::Raw {
                    self.streams = Streams::one();
                }
                tracing::debug!(agent = %agreement.agent_version, node, "the agent is ready");
                self.channel.handshake_completed();
                // Nobody could use it before.
                self.used_at = Instant::now();
                Ok(true)
            }
            Progress::Refuse { response, error } => {
                let _ = self.channel.send_control(PayloadType::HandshakeResponse, response);
                Err(refusal::handshake(&error, node))
            }
            Progress::Failed(error) => Err(refusal::handshake(&error, node)),
        }
    }

    /// From when on nobody has needed it; nothing while somebody does, as whoever waits for it to open.
    pub(crate) fn unused_since(&self) -> Option<Instant> {
        let leaving = self.is_left() && !self.has_said_all();
        let needed = self.handshake.is_some() || self.streams.count() > 0 || leaving;
        (!needed).then_some(self.used_at)
    }

    /// Whether the one connection there was has ended here.
    pub(crate) fn is_left(&self) -> bool {
        self.streams.is_used_up() && self.streams.count() == 0
    }

    /// Whether its last words have arrived, or never will: the flag that ends the session would overtake them.
    pub(crate) fn has_said_all(&self) -> bool {
        self.channel.is_flushed() || self.used_at.elapsed() > LAST_WORDS
    }

    /// From the streams into the channel, as far as it has room. Whether anything went.
    pub(crate) fn move_out(&mut self, now: Duration) -> bool {
        let mut moved = false;
        while let Some(frame) = self.streams.poll_transmit(self.channel.room(), now) {
            self.channel.write(&frame);
            moved = true;
        }
        moved
    }

    pub(crate) fn next_wakeup(&self, now: Moment) -> Option<Duration> {
        let alive = self.streams.next_wakeup().map(|at| at.max(now.monotonic));
        // While the channel is full a keep-alive has to wait for receipts.
        let alive = alive.filter(|_| self.channel.room() > smux::Header::LENGTH);
        self.channel.next_wakeup(now).into_iter().chain(alive).min()
    }

    pub(crate) fn wake_all(&mut self) {
        for (_, waker) in std::mem::take(&mut self.readers) {
            waker.wake();
        }
        self.wake_writers();
    }

    pub(crate) fn wake_writers(&mut self) {
        for (_, waker) in std::mem::take(&mut self.writers) {
            waker.wake();
        }
    }
}

/// How long the session of a connection that has ended here waits for the agent's receipts.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Well below what an agent takes for a database that does not read.
const BULK: usize = 1024 * 1024;
