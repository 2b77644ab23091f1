//! A connected stream socket, TCP or unix, whoever opened it.

mod unix;

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::AddressFamily;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

pub(crate) use self::unix::UnixSocket;

/// A socket of the runtime it was made on.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixSocket),
}

impl Socket {
    /// Wraps a socket that a transport handed over: connected and non-blocking already.
    pub(crate) fn from_fd(socket: OwnedFd) -> io::Result<Self> {
        let family = rustix::net::getsockname(&socket)?.address_family();
        if family == AddressFamily::UNIX {
            return UnixSocket::new(socket.into()).map(Self::Unix);
        }
        let stream = TcpStream::from_std(socket.into())?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Completes when the peer has closed and nothing it sent is left to read. Never completes while
    /// unread bytes are there.
    ///
    /// Cancel safety: takes nothing from the stream.
    pub(crate) async fn closed_by_peer(&self) {
        loop {
            if self.readable().await.is_err() {
                return;
            }
            match self.peek() {
                Ok(0) => return,
                Ok(_) => std::future::pending().await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    /// Looks at the next byte without taking it; clears the readiness when there is none.
    fn peek(&self) -> io::Result<usize> {
        let look = |fd: std::os::fd::BorrowedFd<'_>| {
            let mut byte = [MaybeUninit::uninit()];
            socket2::SockRef::from(&fd).peek(&mut byte)
        };
        match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || look(stream.as_fd())),
            Self::Unix(stream) => stream.try_read(|stream| look(stream.as_fd())),
        }
    }
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
