//! One direction of a session: reads, looks at headers, writes the same bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use pgferry_pg::frame::{FrameError, Framer, Message, Side};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What stopped a pump.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    /// The writer is gone; its reader side says why, if anybody does.
    Write,
    /// The bytes were not passed on.
    Frame(FrameError),
}

pub(super) struct Pump {
    framer: Framer,
    /// Read, looked at, and not yet written.
    tail: Vec<u8>,
    written: usize,
    /// Bytes from before the relay, not yet looked at.
    excess: Bytes,
    needs_flush: bool,
    ended: bool,
    /// After a fault: whether what was passed on ends with a whole message. The bytes with the fault
    /// were not passed on, nor what came with them.
    fault_at_boundary: Option<bool>,
    moved: u64,
}

impl Pump {
    pub(super) fn new(side: Side, excess: Bytes) -> Self {
        Self {
            framer: Framer::new(side),
            tail: Vec::new(),
            written: 0,
            excess,
            needs_flush: false,
            ended: false,
            fault_at_boundary: None,
            moved: 0,
        }
    }

    /// Bytes of our own that go out before anything else: whole messages.
    pub(super) fn preload(&mut self, messages: &[u8]) {
        self.keep(messages);
    }

    /// Moves bytes until one side is not ready. `Ready(Ok)` when the reader has ended and everything
    /// is written.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        scratch: &mut [u8],
        mut on_message: impl FnMut(Message<'_>),
    ) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_tail(cx, writer)).map_err(|_| Fault::Write)?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            if !self.excess.is_empty() {
                let excess = std::mem::take(&mut self.excess);
                self.scan(&excess, &mut on_message)?;
                self.moved += excess.len() as u64;
                self.keep(&excess);
                continue;
            }
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer)).map_err(Fault::Read)?;
            let chunk = buffer.filled();
            if chunk.is_empty() {
                self.ended = true;
                continue;
            }
            self.scan(chunk, &mut on_message)?;
            self.moved += chunk.len() as u64;
            self.write(cx, writer, chunk).map_err(|_| Fault::Write)?;
        }
    }

    /// Whether both what was read and what was written end with a whole message.
    pub(super) fn at_boundary(&self) -> bool {
        self.fault_at_boundary.unwrap_or_else(|| self.framer.at_boundary()) && self.tail.is_empty()
    }

    /// Whether the writer does not take what it is offered.
    pub(super) fn is_blocked(&self) -> bool {
        // TLS takes bytes that its socket does not.
        !self.tail.is_empty() || self.needs_flush
    }

    /// Whether the reader has ended.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes read since the last call.
    pub(super) fn take_moved(&mut self) -> u64 {
        std::mem::take(&mut self.moved)
    }

    fn scan(&mut self, bytes: &[u8], on_message: impl FnMut(Message<'_>)) -> Result<(), Fault> {
        let at_boundary = self.framer.at_boundary();
        self.framer.scan(bytes, on_message).map_err(|error| {
            self.fault_at_boundary = Some(at_boundary);
            Fault::Frame(error)
        })
    }

    /// Writes what the writer takes now, and keeps the rest.
    fn write<W>(&mut self, cx: &mut Context<'_>, writer: &mut W, chunk: &[u8]) -> io::Result<()>
    where
        W: AsyncWrite + Unpin,
    {
        let mut rest = chunk;
        while !rest.is_empty() {
            match Pin::new(&mut *writer).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => rest = rest.get(count..).unwrap_or_default(),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        self.keep(rest);
        self.needs_flush = true;
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Writes what is left of earlier reads, and flushes: TLS keeps bytes back otherwise.
    fn poll_tail<W>(&mut self, cx: &mut Context<'_>, writer: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while let Some(rest) = self.tail.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *writer).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
            self.needs_flush = true;
        }
        if self.written > 0 {
            // An idle session holds no buffer.
            self.tail = Vec::new();
            self.written = 0;
        }
        if self.needs_flush {
            ready!(Pin::new(&mut *writer).poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const READY: &[u8] = b"Z\0\0\0\x05I";
    /// A length below four.
    const BAD: &[u8] = b"D\0\0\0\x01";

    /// Feeds chunk after chunk; gives what was passed on, and the pump.
    fn feed(chunks: &[&[u8]]) -> (Pump, Vec<u8>, bool) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut pump = Pump::new(Side::Backend, Bytes::new());
        let (mut passed_on, mut failed) = (Vec::new(), false);
        for chunk in chunks {
            pump.ended = false;
            let mut reader = *chunk;
            let moved = pump.poll(&mut cx, &mut reader, &mut passed_on, &mut [0; 64], |_| {});
            failed |= matches!(moved, Poll::Ready(Err(Fault::Frame(_))));
        }
        (pump, passed_on, failed)
    }

    #[test]
    fn an_error_may_follow_what_was_passed_on_before_a_malformed_message() {
        let (pump, passed_on, failed) = feed(&[READY, &[READY, BAD].concat()]);
        assert!(failed && pump.at_boundary());
        assert_eq!(passed_on, READY);
    }

    #[test]
    fn no_error_is_put_into_the_middle_of_a_message() {
        let (begin, end) = READY.split_at(3);
        let (pump, passed_on, failed) = feed(&[begin, &[end, BAD].concat()]);
        assert!(failed && !pump.at_boundary());
        assert_eq!(passed_on, begin);
    }
}
