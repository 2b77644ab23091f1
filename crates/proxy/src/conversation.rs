//! Whole messages over a stream, for the time before the relay takes over.

use std::io;

use bytes::{Bytes, BytesMut};
use pgferry_pg::message::{MessageError, Raw};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A stream, and what was read from it beyond the last message.
pub(crate) struct Conversation<S> {
    pub(crate) stream: S,
    pub(crate) buffer: BytesMut,
}

/// Why no message could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the connection was closed")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Message(#[from] MessageError),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Reads the next message.
    ///
    /// Cancel safety: what was read stays in the buffer.
    pub(crate) async fn next(&mut self, body_max: usize) -> Result<Raw, ReadError> {
        loop {
            if let Some(message) = Raw::take(&mut self.buffer, body_max)? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    /// Reads the next message, which has a secret in it: nothing but the message holds its memory, so
    /// that it can be wiped.
    ///
    /// Cancel safety: what was read stays in the buffer.
    pub(crate) async fn next_secret(&mut self, body_max: usize) -> Result<Raw, ReadError> {
        let message = self.next(body_max).await?;
        self.buffer = BytesMut::from(&self.buffer[..]);
        Ok(message)
    }

    /// Reads more bytes into the buffer.
    ///
    /// Cancel safety: nothing is lost.
    pub(crate) async fn fill(&mut self) -> Result<(), ReadError> {
        self.buffer.reserve(1024);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(ReadError::Closed),
            Ok(_) => Ok(()),
            Err(error) if is_disconnect(&error) => Err(ReadError::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes all of `bytes` and flushes.
    ///
    /// Cancel safety: none; a part may have been written.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The stream, and the bytes behind the last message, which belong to the relay.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        // Freezing an empty buffer would keep its memory for as long as the session lasts.
        let excess = if self.buffer.is_empty() { Bytes::new() } else { self.buffer.freeze() };
        (self.stream, excess)
    }
}

/// Whether an error only says that the peer has gone.
pub(crate) fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
    )
}
