use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::frame::{Command, Header, InvalidProtocol};
use super::stream::{End, Inbound, Outbound, Stream, StreamId};

/// The client's end: it opens streams, and the agent connects each to the target.
///
/// The caller gives it the session's bytes with [`on_bytes`](Self::on_bytes) and sends what
/// [`poll_transmit`](Self::poll_transmit) returns, as far as the channel has room.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    streams: BTreeMap<u32, Stream>,
    /// The next number; nothing when all are used.
    next: Option<u32>,
    /// Whose turn it was.
    served: u32,
    reading: Reading,
    /// Flags about refused connections whose streams are not known yet: their FINs follow.
    refusals: usize,
    /// Streams that we closed before the agent said anything on them: a refusal may still be theirs.
    unsettled: BTreeSet<u32>,
    sent_at: Option<Duration>,
}

/// What a session may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Streams at a time.
    pub streams: usize,
    /// Data of a stream that nobody has read.
    pub stream_bytes: usize,
    /// The same of all streams together.
    pub session_bytes: usize,
    /// Data of a stream that is not sent.
    pub unsent_bytes: usize,
    /// Data in a frame: what another stream has to wait for. At most 32,768, as agents have it.
    pub frame_bytes: usize,
    /// Send a keep-alive after so long without sending. It counts as use of the session, and so defeats the organisation's
    /// idle timeout: off unless the person asks for it.
    pub keep_alive: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 256,
            stream_bytes: 16 * 1024 * 1024,
            session_bytes: 32 * 1024 * 1024,
            unsent_bytes: 64 * 1024,
            frame_bytes: 4096,
            keep_alive: None,
        }
    }
}

/// How much of the session's bytes was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// All.
    Taken,
    /// The first so many. The rest has to be given again once `by` has been read or abandoned.
    Blocked {
        /// Bytes that need not be given again.
        taken: usize,
        /// The stream with the most unread data.
        by: StreamId,
    },
}

/// Why there is no further stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// [`Limits::streams`]: our own bound.
    #[error("the session has as many streams as it may have")]
    TooMany,
    /// Two thousand million streams were opened: it takes another session.
    #[error("the session has used all numbers of streams")]
    Exhausted,
}

#[derive(Debug)]
enum Reading {
    Header(BytesMut),
    Data { stream: u32, left: usize },
}

impl Session {
    /// A session without streams.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            streams: BTreeMap::new(),
            next: Some(FIRST_STREAM),
            served: 0,
            reading: Reading::Header(BytesMut::new()),
            refusals: 0,
            unsettled: BTreeSet::new(),
            sent_at: None,
        }
    }

    /// Opens a stream. It can be written to at once: there is no sign of success, only data, or an
    /// [end](End::NotConnected).
    ///
    /// # Errors
    /// There are too many: the caller's fault, or time for another session.
    pub fn open(&mut self) -> Result<StreamId, OpenError> {
        if self.streams.len() >= self.limits.streams {
            return Err(OpenError::TooMany);
        }
        let number = self.next.ok_or(OpenError::Exhausted)?;
        self.next = number.checked_add(2);
        self.streams.insert(number, Stream::new());
        Ok(StreamId(number))
    }

    /// How many streams there are, with those whose end is still to be sent.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Data that has come and that nobody has read.
    pub fn unread_bytes(&self) -> usize {
        self.streams.values().map(Stream::unread_bytes).sum()
    }

    /// Bytes sent to targets that have said nothing since: more of them than these a target cannot have left unread. An agent
    /// whose target does not read gives no receipts once about 4 MiB lie there.
    pub fn unanswered_bytes(&self) -> usize {
        self.streams.values().map(|stream| stream.unanswered).sum()
    }

    /// How many bytes [`write`](Self::write) takes now; none after either end's close.
    pub fn room(&self, id: StreamId) -> usize {
        self.streams.get(&id.0).map_or(0, |stream| stream.room(self.limits.unsent_bytes))
    }

    /// Takes data, as much as there is room for, and says how much that was.
    pub fn write(&mut self, id: StreamId, data: &[u8]) -> usize {
        let limit = self.limits.unsent_bytes;
        self.streams.get_mut(&id.0).map_or(0, |stream| stream.write(data, limit))
    }

    /// What has come, at most `most` bytes of it, and the end behind the last of it. An end has to be answered with
    /// [`close`](Self::close).
    pub fn read(&mut self, id: StreamId, most: usize) -> Inbound {
        self.streams.get_mut(&id.0).map_or(Inbound::Ended(End::Gone), |stream| stream.read(most))
    }

    /// Ends a stream behind what is written. There is no half-close: the agent closes its connection at once,
    /// so this is for when nothing more is to be read. What is unread is dropped.
    pub fn close(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id.0) {
            stream.close();
        }
    }

    /// Ends a stream and drops what it holds in both directions, so that the others go on.
    pub fn abandon(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id.0) else { return };
        stream.abandon();
        if stream.is_unheard_of() {
            self.streams.remove(&id.0);
        }
    }

    /// The flag [`ConnectToPortError`](crate::Flag::ConnectToPortError) has come. It names no stream; the FIN of a
    /// stream without any data follows it.
    pub fn on_connect_error(&mut self) {
        let possible = self.streams.len() + self.unsettled.len();
        self.refusals = (self.refusals + 1).min(possible);
    }

    /// The session's bytes, cut anywhere. Data of streams that are gone are dropped.
    ///
    /// # Errors
    /// They are no frames that an agent sends: the session is lost.
    pub fn on_bytes(&mut self, bytes: &[u8]) -> Result<Intake, InvalidProtocol> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match &mut self.reading {
                Reading::Header(partial) => {
                    let (now, later) =
                        rest.split_at(rest.len().min(Header::LENGTH - partial.len()));
                    partial.extend_from_slice(now);
                    rest = later;
                    if let Ok(whole) = <[u8; Header::LENGTH]>::try_from(&partial[..]) {
                        let header = Header::decode(whole)?;
                        self.on_header(header)?;
                    }
                }
                Reading::Data { stream, left } => {
                    let (number, left) = (*stream, *left);
                    let (now, _) = rest.split_at(rest.len().min(left));
                    let taken = self.on_data(number, now);
                    rest = rest.get(taken..).unwrap_or_default();
                    self.expect_data(number, left - taken);
                    if taken < now.len() {
                        return Ok(self.blocked(bytes.len() - rest.len(), number));
                    }
                }
            }
        }
        Ok(Intake::Taken)
    }

    /// The next frame, of at most `most` bytes: the channel's room. The streams take turns.
    pub fn poll_transmit(&mut self, most: usize, now: Duration) -> Option<Bytes> {
        let data = most.checked_sub(Header::LENGTH + 1)?.saturating_add(1);
        let data = data.min(self.limits.frame_bytes.clamp(1, LARGEST_FRAME));
        let sent_at = *self.sent_at.get_or_insert(now);
        let idle = |pause: Duration| now.saturating_sub(sent_at) >= pause;
        let frame = match self.next_turn() {
            Some(number) => self.frame_of(number, data)?,
            None if self.limits.keep_alive.is_some_and(idle) => frame(Command::Nop, 0, &[]),
            None => return None,
        };
        self.sent_at = Some(now);
        Some(frame)
    }

    /// When the next keep-alive is due, if nothing else is sent before.
    pub fn next_wakeup(&self) -> Option<Duration> {
        Some(self.sent_at? + self.limits.keep_alive?)
    }

    fn on_header(&mut self, header: Header) -> Result<(), InvalidProtocol> {
        self.expect_data(0, 0);
        match header.command {
            // Agents open none: whoever sends this is no agent.
            Command::Syn => return Err(InvalidProtocol { version: 1, command: 0 }),
            Command::Fin => self.on_fin(header.stream),
            Command::Psh => self.expect_data(header.stream, usize::from(header.length)),
            Command::Nop => {}
        }
        Ok(())
    }

    fn expect_data(&mut self, stream: u32, left: usize) {
        self.reading = match left {
            0 => Reading::Header(BytesMut::new()),
            left => Reading::Data { stream, left },
        };
    }

    fn on_fin(&mut self, number: u32) {
        let Some(stream) = self.streams.get_mut(&number) else {
            if self.unsettled.remove(&number) {
                self.refusals = self.refusals.saturating_sub(1);
            }
            return;
        };
        let refused = !stream.heard && self.refusals > 0;
        self.refusals -= usize::from(refused);
        stream.on_fin(if refused { End::NotConnected } else { End::Closed });
    }

    fn on_data(&mut self, number: u32, data: &[u8]) -> usize {
        let unread = self.unread_bytes();
        let Some(stream) = self.streams.get_mut(&number) else {
            self.unsettled.remove(&number);
            return data.len();
        };
        let others = unread - stream.unread_bytes();
        let left = self.limits.session_bytes.saturating_sub(others);
        stream.on_data(data, left.min(self.limits.stream_bytes))
    }

    fn blocked(&self, taken: usize, number: u32) -> Intake {
        let fullest = self.streams.iter().max_by_key(|(_, stream)| stream.unread_bytes());
        Intake::Blocked { taken, by: StreamId(fullest.map_or(number, |(fullest, _)| *fullest)) }
    }

    fn next_turn(&self) -> Option<u32> {
        let after = self.streams.range(self.served.saturating_add(1)..);
        let mut turns = after.chain(self.streams.range(..=self.served));
        turns.find(|(_, stream)| stream.wants_to_send()).map(|(number, _)| *number)
    }

    fn frame_of(&mut self, number: u32, most: usize) -> Option<Bytes> {
        self.served = number;
        let stream = self.streams.get_mut(&number)?;
        Some(match stream.next_outbound(most)? {
            Outbound::Syn => frame(Command::Syn, number, &[]),
            Outbound::Data(data) => frame(Command::Psh, number, &data),
            Outbound::Fin => {
                if stream.awaits_first_sign() {
                    self.unsettled.insert(number);
                }
                self.streams.remove(&number);
                // A few of those whose target never answers: the oldest are no use any more.
                if self.unsettled.len() > self.limits.streams {
                    self.unsettled.pop_first();
                }
                frame(Command::Fin, number, &[])
            }
        })
    }
}

fn frame(command: Command, stream: u32, data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(Header::LENGTH + data.len());
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    Header { command, length, stream }.encode(&mut bytes);
    bytes.extend_from_slice(data);
    bytes.freeze()
}

/// The library that agents use counts from 1, and adds 2 before the first.
const FIRST_STREAM: u32 = 3;
const LARGEST_FRAME: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_streams_end_instead_of_starting_again() {
        let mut session = Session::new(Limits::default());
        session.next = Some(u32::MAX);
        assert_eq!(session.open(), Ok(StreamId(u32::MAX)));
        assert_eq!(session.open(), Err(OpenError::Exhausted));
        assert!(session.poll_transmit(100, Duration::ZERO).is_some(), "the last one has its turn");
    }
}
