//! Message boundaries in a stream of bytes, in either direction, after the startup packet.

use crate::SqlState;

/// Most bytes of a body that [`Framer::scan`] hands out.
pub const PREFIX_MAX: usize = 256;

/// Longest message that is let through, the four bytes of the length included: 1 GiB - 1.
///
/// Source: `PQ_LARGE_MESSAGE_LIMIT` (`MaxAllocSize - 1`) in PostgreSQL's `src/include/libpq/libpq.h`.
pub const MESSAGE_LENGTH_MAX: i32 = 0x3fff_fffe;

/// Tag and length.
pub const HEADER_LENGTH: usize = 5;

/// Who sent the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// From the application.
    Frontend,
    /// From the database.
    Backend,
}

/// A message whose last byte has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The type byte.
    pub tag: u8,
    /// Length of the whole body in bytes, header not counted.
    pub body_len: usize,
    /// The first bytes of the body, [`PREFIX_MAX`] at most, for tags whose body says something
    /// about the session (`Q P B E C` from the frontend, `Z E C` from the backend). Empty for others.
    pub prefix: &'a [u8],
}

/// The stream cannot be followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length counts itself, so it is never below four. The sender's fault.
    #[error("message {tag:#04x} claims a length of {length} bytes, less than the length itself")]
    TooShort {
        /// The type byte.
        tag: u8,
        /// The length as it stands on the wire.
        length: i32,
    },
    /// Longer than PostgreSQL itself accepts. The sender's fault.
    #[error("message {tag:#04x} claims a length of {length} bytes, more than PostgreSQL allows")]
    TooLong {
        /// The type byte.
        tag: u8,
        /// The length as it stands on the wire.
        length: i32,
    },
}

impl FrameError {
    /// The code to report it with.
    pub fn sql_state(&self) -> SqlState {
        match self {
            Self::TooShort { .. } | Self::TooLong { .. } => SqlState::PROTOCOL_VIOLATION,
        }
    }
}

/// Finds message boundaries in one direction of a session, however the stream is cut into chunks.
///
/// Bodies are stepped over, not read: a row inside a chunk costs one look at its header. Rows, copy
/// data and unknown tags are not reported at all. Nothing is allocated; a prefix is copied only if
/// its message is split over chunks.
#[derive(Debug)]
pub struct Framer {
    interest: &'static [Interest; 256],
    partial: Partial,
}

impl Framer {
    /// A framer for a stream that starts at a message boundary.
    pub fn new(side: Side) -> Self {
        let interest = match side {
            Side::Frontend => &FRONTEND_INTEREST,
            Side::Backend => &BACKEND_INTEREST,
        };
        Self { interest, partial: Partial::NONE }
    }

    /// Reads the next bytes of the stream, calling `on_message` for each message of interest that
    /// ends in them.
    ///
    /// **Errors**: the sender's fault. The stream is lost: later calls fail the same way and
    /// [`Self::at_boundary`] stays false.
    pub fn scan(
        &mut self,
        chunk: &[u8],
        mut on_message: impl FnMut(Message<'_>),
    ) -> Result<(), FrameError> {
        let mut rest = self.finish_partial(chunk, &mut on_message)?;
        while let Some((header, after)) = rest.split_first_chunk::<HEADER_LENGTH>() {
            let (tag, body_len) = match parse_header(*header) {
                Ok(parsed) => parsed,
                Err(error) => {
                    self.partial.header = *header;
                    self.partial.header_len = HEADER_LENGTH;
                    return Err(error);
                }
            };
            let interest = self.interest_in(tag);
            let Some((body, next)) = after.split_at_checked(body_len) else {
                self.partial.begin(*header, body_len);
                self.partial.take(after, interest);
                return Ok(());
            };
            if interest != Interest::Skip {
                let prefix = body.get(..interest.prefix_len(body_len)).unwrap_or_default();
                on_message(Message { tag, body_len, prefix });
            }
            rest = next;
        }
        self.partial.complete_header(rest);
        Ok(())
    }

    /// Whether the stream stands between two messages: only then may another message be put into it.
    pub fn at_boundary(&self) -> bool {
        self.partial.header_len == 0
    }

    /// Ends the message that was under way when the last chunk ended. Returns what is behind it.
    fn finish_partial<'a>(
        &mut self,
        chunk: &'a [u8],
        on_message: &mut impl FnMut(Message<'_>),
    ) -> Result<&'a [u8], FrameError> {
        if self.at_boundary() {
            return Ok(chunk);
        }
        let mut rest = chunk;
        if self.partial.body_missing == 0 {
            rest = self.partial.complete_header(rest);
            if self.partial.header_len < HEADER_LENGTH {
                return Ok(rest);
            }
            let (_, body_len) = parse_header(self.partial.header)?;
            self.partial.begin(self.partial.header, body_len);
        }
        let [tag, ..] = self.partial.header;
        let interest = self.interest_in(tag);
        rest = self.partial.take(rest, interest);
        if self.partial.body_missing > 0 {
            return Ok(rest);
        }
        if interest != Interest::Skip {
            let prefix = self.partial.captured.get(..self.partial.captured_len).unwrap_or_default();
            on_message(Message { tag, body_len: self.partial.body_len, prefix });
        }
        self.partial.header_len = 0;
        Ok(rest)
    }

    #[expect(clippy::indexing_slicing, reason = "a byte always fits a table of 256")]
    fn interest_in(&self, tag: u8) -> Interest {
        self.interest[usize::from(tag)]
    }
}

/// A message that is split over chunks. `header_len` is 0 if there is none; with a whole header and
/// no body missing, the header is a bad one and the stream is lost.
#[derive(Debug)]
struct Partial {
    header: [u8; HEADER_LENGTH],
    header_len: usize,
    body_len: usize,
    body_missing: usize,
    captured: [u8; PREFIX_MAX],
    captured_len: usize,
}

impl Partial {
    const NONE: Self = Self {
        header: [0; HEADER_LENGTH],
        header_len: 0,
        body_len: 0,
        body_missing: 0,
        captured: [0; PREFIX_MAX],
        captured_len: 0,
    };

    fn begin(&mut self, header: [u8; HEADER_LENGTH], body_len: usize) {
        self.header = header;
        self.header_len = HEADER_LENGTH;
        self.body_len = body_len;
        self.body_missing = body_len;
        self.captured_len = 0;
    }

    fn complete_header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let free = self.header.get_mut(self.header_len..).unwrap_or_default();
        let (head, rest) = bytes.split_at(free.len().min(bytes.len()));
        for (to, from) in free.iter_mut().zip(head) {
            *to = *from;
        }
        self.header_len += head.len();
        rest
    }

    /// Takes what `bytes` holds of the body, keeping the prefix.
    fn take<'a>(&mut self, bytes: &'a [u8], interest: Interest) -> &'a [u8] {
        let (body, rest) = bytes.split_at(self.body_missing.min(bytes.len()));
        self.body_missing -= body.len();
        let wanted = interest.prefix_len(self.body_len);
        let free = self.captured.get_mut(self.captured_len..wanted).unwrap_or_default();
        for (to, from) in free.iter_mut().zip(body) {
            *to = *from;
        }
        self.captured_len += free.len().min(body.len());
        rest
    }
}

/// What the reader of a stream wants to know of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interest {
    /// Nothing.
    Skip,
    /// That it passed.
    Event,
    /// That it passed, and how its body begins.
    Prefix,
}

impl Interest {
    fn prefix_len(self, body_len: usize) -> usize {
        match self {
            Self::Skip | Self::Event => 0,
            Self::Prefix => body_len.min(PREFIX_MAX),
        }
    }
}

fn parse_header(header: [u8; HEADER_LENGTH]) -> Result<(u8, usize), FrameError> {
    let [tag, a, b, c, d] = header;
    let length = i32::from_be_bytes([a, b, c, d]);
    if length > MESSAGE_LENGTH_MAX {
        return Err(FrameError::TooLong { tag, length });
    }
    match usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) {
        Some(body_len) => Ok((tag, body_len)),
        None => Err(FrameError::TooShort { tag, length }),
    }
}

/// Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>
static FRONTEND_INTEREST: [Interest; 256] = interest_table(b"ScfHFXD", b"QPBEC");
static BACKEND_INTEREST: [Interest; 256] = interest_table(b"TntGHWcVAINS123sKv", b"ZEC");

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler: a bad index fails the build"
)]
const fn interest_table(events: &[u8], prefixes: &[u8]) -> [Interest; 256] {
    let mut table = [Interest::Skip; 256];
    let mut i = 0;
    while i < events.len() {
        table[events[i] as usize] = Interest::Event;
        i += 1;
    }
    i = 0;
    while i < prefixes.len() {
        table[prefixes[i] as usize] = Interest::Prefix;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests;
