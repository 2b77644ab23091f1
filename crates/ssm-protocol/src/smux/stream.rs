use bytes::{Bytes, BytesMut};

/// A stream's number: odd, the first is 3, and never used again in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u32);

impl StreamId {
    /// For the one connection of a [raw](crate::raw) session, which has no number. No stream has this one.
    pub const ONLY: Self = Self(0);

    /// As on the wire.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// What a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// Data.
    Data(Bytes),
    /// None now; more may come.
    Pending,
    /// There will be no more.
    Ended(End),
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The target closed its connection, or lost it: the agent does not say which.
    Closed,
    /// The agent could not connect to the target; it does not say why.
    NotConnected,
    /// We closed or abandoned it, or never had it.
    Gone,
}

/// One stream, as far as its own bytes go.
#[derive(Debug)]
pub(crate) struct Stream {
    opening: Opening,
    unsent: BytesMut,
    closing: bool,
    unread: BytesMut,
    /// Whether the agent ever sent data: if not, and it ends, it may never have been connected.
    pub(crate) heard: bool,
    /// Bytes sent since the target last said something: what it may not have read.
    pub(crate) unanswered: usize,
    end: Option<End>,
}

#[derive(Debug, PartialEq, Eq)]
enum Opening {
    Due,
    Done,
}

/// What a stream wants to send next.
pub(crate) enum Outbound {
    Syn,
    Data(Bytes),
    Fin,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self {
            opening: Opening::Due,
            unsent: BytesMut::new(),
            closing: false,
            unread: BytesMut::new(),
            heard: false,
            unanswered: 0,
            end: None,
        }
    }

    pub(crate) fn room(&self, limit: usize) -> usize {
        if self.closing || self.end.is_some() {
            return 0;
        }
        limit.saturating_sub(self.unsent.len())
    }

    pub(crate) fn write(&mut self, data: &[u8], limit: usize) -> usize {
        let taken = data.get(..self.room(limit)).unwrap_or(data);
        self.unsent.extend_from_slice(taken);
        taken.len()
    }

    /// FIN follows what is written already.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.unread = BytesMut::new();
    }

    /// FIN at once; what is written is dropped as well.
    pub(crate) fn abandon(&mut self) {
        self.unsent.clear();
        self.close();
    }

    /// The agent has closed its connection: what is not sent has nowhere to go.
    pub(crate) fn on_fin(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.unsent.clear();
    }

    /// Takes as much as there is room for. After our close, everything, into nowhere.
    pub(crate) fn on_data(&mut self, data: &[u8], limit: usize) -> usize {
        self.unanswered = 0;
        if self.closing || self.end.is_some() {
            self.heard = true;
            return data.len();
        }
        let room = limit.saturating_sub(self.unread.len());
        let taken = data.get(..room).unwrap_or(data);
        self.heard |= !taken.is_empty();
        self.unread.extend_from_slice(taken);
        taken.len()
    }

    pub(crate) fn unread_bytes(&self) -> usize {
        self.unread.len()
    }

    pub(crate) fn read(&mut self, most: usize) -> Inbound {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(most.max(1));
            return Inbound::Data(self.unread.split_to(length).freeze());
        }
        // The memory of a burst goes with it.
        self.unread = BytesMut::new();
        if self.closing {
            return Inbound::Ended(End::Gone);
        }
        self.end.map_or(Inbound::Pending, Inbound::Ended)
    }

    /// Whether the agent has neither sent data nor ended it.
    pub(crate) fn awaits_first_sign(&self) -> bool {
        !self.heard && self.end.is_none()
    }

    /// Whether the agent knows nothing of it, and need not.
    pub(crate) fn is_unheard_of(&self) -> bool {
        self.opening == Opening::Due
    }

    pub(crate) fn wants_to_send(&self) -> bool {
        self.opening == Opening::Due || !self.unsent.is_empty() || self.closing
    }

    pub(crate) fn next_outbound(&mut self, most: usize) -> Option<Outbound> {
        if self.opening == Opening::Due {
            self.opening = Opening::Done;
            return Some(Outbound::Syn);
        }
        if !self.unsent.is_empty() {
            let length = self.unsent.len().min(most);
            self.unanswered = self.unanswered.saturating_add(length);
            return Some(Outbound::Data(self.unsent.split_to(length).freeze()));
        }
        self.closing.then_some(Outbound::Fin)
    }
}
