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
                self.framer.scan(&excess, &mut on_message).map_err(Fault::Frame)?;
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
            self.framer.scan(chunk, &mut on_message).map_err(Fault::Frame)?;
            self.moved += chunk.len() as u64;
            self.write(cx, writer, chunk).map_err(|_| Fault::Write)?;
        }
    }

    /// Whether both what was read and what was written end with a whole message.
    pub(super) fn at_boundary(&self) -> bool {
        self.framer.at_boundary() && self.tail.is_empty()
    }

    /// Whether the writer does not take what it is offered.
    pub(super) fn is_blocked(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Whether the reader has ended.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes read since the last call.
    pub(super) fn take_moved(&mut self) -> u64 {
        std::mem::take(&mut self.moved)
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
