//! The socket to the application: whole messages in, collected answers out.

use bytes::BytesMut;
use pgferry_pg::message::Raw;
use pgferry_transport_sdk::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::wire::backend::Answers;

/// The application's end of a session.
pub(crate) struct Connection<S> {
    socket: S,
    received: BytesMut,
    pub(crate) answers: Answers,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self { socket, received: BytesMut::new(), answers: Answers::default() }
    }

    /// Reads the packet that opens a connection, its length included. None: it ended.
    ///
    /// Errors: broken, or no packet of PostgreSQL's.
    ///
    /// Cancel safety: nothing is lost.
    pub(crate) async fn read_startup(&mut self) -> Result<Option<BytesMut>, Error> {
        loop {
            let length = pgferry_pg::startup::packet_length(&self.received)
                .map_err(|error| Error::protocol(error.to_string()))?;
            if let Some(length) = length.filter(|length| self.received.len() >= *length) {
                return Ok(Some(self.received.split_to(length)));
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads a message. None: the application has left.
    ///
    /// Errors: broken, or a length no message has.
    ///
    /// Cancel safety: nothing is lost.
    pub(crate) async fn read(&mut self) -> Result<Option<Raw>, Error> {
        loop {
            let raw = Raw::take(&mut self.received, LONGEST_MESSAGE)
                .map_err(|error| Error::protocol(error.to_string()))?;
            if raw.is_some() {
                return Ok(raw);
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Sends what was collected.
    ///
    /// Cancel safety: a message may be sent in part.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        if self.answers.len() > 0 {
            let answers = self.answers.take();
            self.socket.write_all(&answers).await.map_err(Error::from)?;
            self.socket.flush().await.map_err(Error::from)?;
        }
        Ok(())
    }

    /// Sends what was collected if it is much.
    ///
    /// Cancel safety: a message may be sent in part.
    pub(crate) async fn flush_if_large(&mut self) -> Result<(), Error> {
        if self.answers.len() > LARGE { self.flush().await } else { Ok(()) }
    }

    async fn more(&mut self) -> Result<usize, Error> {
        self.received.reserve(READ_AT_ONCE);
        self.socket.read_buf(&mut self.received).await.map_err(Error::from)
    }
}

/// Far above what the service takes in one call.
const LONGEST_MESSAGE: usize = 256 * 1024 * 1024;
const LARGE: usize = 256 * 1024;
const READ_AT_ONCE: usize = 16 * 1024;
