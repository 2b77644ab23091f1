//! Sockets from beneath: the host's own, or those of the transport named by `via`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use rustix::net::{AddressFamily, getsockname};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;

use crate::{Error, Host};

/// A connected stream from [`Context::dial`](crate::Context::dial): a TCP socket, or a local one when
/// a transport beneath pumps or serves it.
#[derive(Debug)]
pub struct DialStream(Family);

#[derive(Debug)]
enum Family {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl DialStream {
    pub(crate) fn new(socket: OwnedFd) -> Result<Self, Error> {
        Self::register(socket)
            .map(Self)
            .map_err(|e| Error::internal(format!("dialled socket: {e}")))
    }

    /// Effect: takes the socket out of the runtime, to hand it over with
    /// [`Stream::socket`](crate::Stream::socket). It stays non-blocking.
    ///
    /// Errors: the system's, when the runtime won't let go of it.
    pub fn into_socket(self) -> Result<OwnedFd, Error> {
        let socket = match self.0 {
            Family::Tcp(stream) => stream.into_std().map(OwnedFd::from),
            Family::Unix(stream) => stream.into_std().map(OwnedFd::from),
        };
        socket.map_err(Error::from)
    }

    fn register(socket: OwnedFd) -> io::Result<Family> {
        if getsockname(&socket)?.address_family() == AddressFamily::UNIX {
            let stream = StdUnixStream::from(socket);
            stream.set_nonblocking(true)?;
            return UnixStream::from_std(stream).map(Family::Unix);
        }
        let stream = std::net::TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        TcpStream::from_std(stream).map(Family::Tcp)
    }
}

impl AsFd for DialStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Family::Tcp(stream) => stream.as_fd(),
            Family::Unix(stream) => stream.as_fd(),
        }
    }
}

/// Calls the same method on whichever stream it is.
macro_rules! delegate {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.get_mut().0 {
            Family::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Family::Unix(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for DialStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self.poll_read(cx, buf))
    }
}

impl AsyncWrite for DialStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        delegate!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        delegate!(self.poll_shutdown(cx))
    }
}

/// A dial under way; dropping it cancels it.
pub(crate) struct Dialling {
    host: Host,
    dial: u64,
    answer: oneshot::Receiver<Result<OwnedFd, Error>>,
}

impl Dialling {
    pub(crate) fn start(host: Host, op: u64, request: &str) -> Result<Self, Error> {
        let (dial, answer) = host.border().dial(op, request).ok_or_else(Error::cancelled)?;
        Ok(Self { host, dial, answer })
    }

    /// Cancel safety: dropping it cancels the dial.
    pub(crate) async fn socket(mut self) -> Result<OwnedFd, Error> {
        let answer = (&mut self.answer).await;
        self.dial = 0;
        answer.unwrap_or_else(|_| Err(Error::cancelled()))
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        if self.dial != 0 {
            self.host.border().dial_cancel(self.dial);
        }
    }
}
