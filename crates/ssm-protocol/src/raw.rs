//! A session that carries the bytes of one connection as they are ([`Mode::Raw`](crate::Mode::Raw)): no frames, so no
//! second connection, no end of one direction and no keep-alive.
//!
//! The agent connects once the handshake is complete, and ends the session if it cannot, or when its target closes the
//! connection. The service then says that the channel is closed, which is this connection's end.
//!
//! Source: `agent/session/plugins/port/port_basic.go` of aws/amazon-ssm-agent and
//! `sessionmanagerplugin/session/portsession/standardstreamforwarding.go` of aws/session-manager-plugin.

use bytes::{Bytes, BytesMut};

use crate::smux::{End, Inbound};

/// The one connection of a raw session.
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    stage: Stage,
    unsent: BytesMut,
    unread: BytesMut,
    ended: bool,
}

/// What the connection may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Data that is not sent.
    pub unsent_bytes: usize,
    /// Data that nobody has read. At the bound the session's bytes are left where they are, and its agent has to wait.
    pub unread_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unsent_bytes: 64 * 1024, unread_bytes: 256 * 1024 }
    }
}

/// It is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unused,
    Taken,
    Over,
}

impl Connection {
    /// A connection that nobody has taken.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            stage: Stage::Unused,
            unsent: BytesMut::new(),
            unread: BytesMut::new(),
            ended: false,
        }
    }

    /// Takes it. False: somebody has, or it has ended.
    #[must_use = "it may be somebody else's"]
    pub fn take(&mut self) -> bool {
        let free = self.stage == Stage::Unused && !self.ended;
        if free {
            self.stage = Stage::Taken;
        }
        free
    }

    /// Whether it can still be taken.
    pub fn is_unused(&self) -> bool {
        self.stage == Stage::Unused
    }

    /// Whether somebody has it.
    pub fn is_taken(&self) -> bool {
        self.stage == Stage::Taken
    }

    /// Takes data, as much as there is room for, and says how much that was.
    pub fn write(&mut self, data: &[u8]) -> usize {
        if self.stage == Stage::Over || self.ended {
            return 0;
        }
        let room = self.limits.unsent_bytes.saturating_sub(self.unsent.len());
        let taken = data.get(..room).unwrap_or(data);
        self.unsent.extend_from_slice(taken);
        taken.len()
    }

    /// What has come, at most `most` bytes of it, and the end behind the last of it.
    pub fn read(&mut self, most: usize) -> Inbound {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(most.max(1));
            return Inbound::Data(self.unread.split_to(length).freeze());
        }
        // The memory of a burst goes with it.
        self.unread = BytesMut::new();
        match (self.stage, self.ended) {
            (Stage::Over, _) => Inbound::Ended(End::Gone),
            (_, true) => Inbound::Ended(End::Closed),
            (_, false) => Inbound::Pending,
        }
    }

    /// Nothing more will be read or written; what is written already is still sent. The session is of no use any more.
    pub fn close(&mut self) {
        self.stage = Stage::Over;
        self.unread = BytesMut::new();
    }

    /// The target has closed the connection; what has come is still read.
    pub fn on_end(&mut self) {
        self.ended = true;
        self.unsent.clear();
    }

    /// The session's bytes: takes as many as there is room for, and says how many that was. After the close all are taken,
    /// into nowhere.
    pub fn on_bytes(&mut self, bytes: &[u8]) -> usize {
        if self.stage == Stage::Over {
            return bytes.len();
        }
        let room = self.limits.unread_bytes.saturating_sub(self.unread.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.unread.extend_from_slice(taken);
        taken.len()
    }

    /// The next bytes to send, at most `most` of them: the channel's room.
    pub fn poll_transmit(&mut self, most: usize) -> Option<Bytes> {
        let length = self.unsent.len().min(most);
        (length > 0).then(|| self.unsent.split_to(length).freeze())
    }

    /// Whether all that was written has been given out.
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> Connection {
        let mut connection = Connection::new(Limits { unsent_bytes: 8, unread_bytes: 4 });
        assert!(connection.take());
        connection
    }

    #[test]
    fn it_is_taken_once_and_never_again() {
        let mut connection = taken();
        assert!(!connection.take() && connection.is_taken() && !connection.is_unused());
        connection.close();
        assert!(!connection.take() && !connection.is_taken() && !connection.is_unused());
    }

    #[test]
    fn what_the_target_says_before_anybody_listens_is_kept() {
        let mut connection = Connection::new(Limits::default());
        assert_eq!(connection.on_bytes(b"SSH-2.0-"), 8);
        assert!(connection.take());
        assert_eq!(connection.read(3), Inbound::Data(Bytes::from_static(b"SSH")));
        assert_eq!(connection.read(9), Inbound::Data(Bytes::from_static(b"-2.0-")));
        assert_eq!(connection.read(9), Inbound::Pending);
    }

    #[test]
    fn both_directions_take_no_more_than_there_is_room_for() {
        let mut connection = taken();
        assert_eq!((connection.write(b"0123456"), connection.write(b"789")), (7, 1));
        assert_eq!((connection.on_bytes(b"abc"), connection.on_bytes(b"def")), (3, 1));
        assert_eq!(connection.poll_transmit(0), None);
        assert_eq!(connection.poll_transmit(5), Some(Bytes::from_static(b"01234")));
        assert!(!connection.is_flushed());
        assert_eq!(connection.poll_transmit(5), Some(Bytes::from_static(b"567")));
        assert!(connection.is_flushed() && connection.poll_transmit(5).is_none());
        assert_eq!(connection.read(9), Inbound::Data(Bytes::from_static(b"abcd")));
        assert_eq!(connection.on_bytes(b"ef"), 2);
    }

    #[test]
    fn the_targets_end_comes_behind_its_last_byte() {
        let mut connection = taken();
        connection.on_bytes(b"bye");
        connection.on_end();
        assert_eq!(connection.write(b"too late"), 0);
        assert_eq!(connection.read(9), Inbound::Data(Bytes::from_static(b"bye")));
        assert_eq!(connection.read(9), Inbound::Ended(End::Closed));
    }

    #[test]
    fn after_our_close_the_rest_is_sent_and_nothing_is_kept() {
        let mut connection = taken();
        assert_eq!(connection.write(b"last"), 4);
        connection.close();
        assert_eq!(connection.write(b"more"), 0);
        assert_eq!(connection.on_bytes(b"a great deal of data"), 20);
        assert_eq!(connection.read(9), Inbound::Ended(End::Gone));
        assert_eq!(connection.poll_transmit(9), Some(Bytes::from_static(b"last")));
    }
}
