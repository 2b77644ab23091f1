//! What a session carries: several connections, or one as it is.

use std::time::Duration;

use bytes::Bytes;
use pgferry_ssm_protocol::raw;
use pgferry_ssm_protocol::smux::{self, Inbound, Intake, InvalidProtocol, StreamId};

/// The connections of a session, as the agent has agreed to carry them.
pub(crate) enum Streams {
    Several(Box<smux::Session>),
    One(raw::Connection),
}

impl Streams {
    pub(crate) fn several(limits: smux::Limits) -> Self {
        Self::Several(Box::new(smux::Session::new(limits)))
    }

    pub(crate) fn one() -> Self {
        Self::One(raw::Connection::new(raw::Limits::default()))
    }

    /// One more, unless there is no room for it.
    pub(crate) fn open(&mut self) -> Option<StreamId> {
        match self {
            Self::Several(session) => session.open().ok(),
            Self::One(connection) => connection.take().then_some(StreamId::ONLY),
        }
    }

    /// How many there are, with those whose end is still to be sent.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Several(session) => session.streams(),
            Self::One(connection) => usize::from(connection.is_taken() || !connection.is_flushed()),
        }
    }

    /// Data that has come and that nobody has read, where that may stop others.
    pub(crate) fn unread_bytes(&self) -> usize {
        match self {
            Self::Several(session) => session.unread_bytes(),
            Self::One(_) => 0,
        }
    }

    /// Data that targets may not have read. What answers in a raw session, an SSH server, always reads.
    pub(crate) fn unanswered_bytes(&self) -> usize {
        match self {
            Self::Several(session) => session.unanswered_bytes(),
            Self::One(_) => 0,
        }
    }

    /// Whether there will never be another than the one there is, or was.
    pub(crate) fn is_used_up(&self) -> bool {
        matches!(self, Self::One(connection) if !connection.is_unused())
    }

    pub(crate) fn write(&mut self, id: StreamId, data: &[u8]) -> usize {
        match self {
            Self::Several(session) => session.write(id, data),
            Self::One(connection) => connection.write(data),
        }
    }

    pub(crate) fn read(&mut self, id: StreamId, most: usize) -> Inbound {
        match self {
            Self::Several(session) => session.read(id, most),
            Self::One(connection) => connection.read(most),
        }
    }

    pub(crate) fn close(&mut self, id: StreamId) {
        match self {
            Self::Several(session) => session.close(id),
            Self::One(connection) => connection.close(),
        }
    }

    /// The agent could not connect to the database. In raw sessions that ends the session, which says so.
    pub(crate) fn on_connect_error(&mut self) {
        if let Self::Several(session) = self {
            session.on_connect_error();
        }
    }

    /// The agent has nothing more to carry. True: that is an end of the connection like any other.
    pub(crate) fn on_end(&mut self) -> bool {
        match self {
            Self::Several(_) => false,
            Self::One(connection) => {
                connection.on_end();
                true
            }
        }
    }

    /// How many of the session's bytes were taken.
    pub(crate) fn on_bytes(&mut self, bytes: &[u8]) -> Result<usize, InvalidProtocol> {
        match self {
            Self::Several(session) => match session.on_bytes(bytes)? {
                Intake::Taken => Ok(bytes.len()),
                Intake::Blocked { taken, .. } => Ok(taken),
            },
            Self::One(connection) => Ok(connection.on_bytes(bytes)),
        }
    }

    pub(crate) fn poll_transmit(&mut self, most: usize, now: Duration) -> Option<Bytes> {
        match self {
            Self::Several(session) => session.poll_transmit(most, now),
            Self::One(connection) => connection.poll_transmit(most),
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<Duration> {
        match self {
            Self::Several(session) => session.next_wakeup(),
            Self::One(_) => None,
        }
    }
}
