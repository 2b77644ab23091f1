//! The socket to the bastion, with what russh leaves to the one who connects.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// The socket to the bastion.
///
/// - It acknowledges at once what it has read. An SSH server that only forwards leaves Nagle's
///   algorithm on: while one small packet of its is unacknowledged it holds back the next. Our
///   kernel acknowledges after up to 40 ms, so pipelined queries would crawl. Linux forgets
///   `TCP_QUICKACK` whenever it likes, hence it is set after every read.
/// - It fails once its [`Lifeline`] is dropped, wherever russh is waiting then; russh on its own
///   waits for ever for a server that falls silent during the key exchange.
/// - It fails when the bastion takes no data for too long: russh sends no keepalives, and counts
///   none, while it is writing.
#[derive(Debug)]
pub(crate) struct BastionSocket<S> {
    stream: S,
    /// Off where the system or this kind of socket does not have it (a tunnel below this one).
    quick_ack: bool,
    lifeline: oneshot::Receiver<Infallible>,
    stall_limit: Duration,
    /// Running while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
}

/// Dropping it ends the connection.
pub(crate) type Lifeline = oneshot::Sender<Infallible>;

impl<S: AsFd> BastionSocket<S> {
    pub(crate) fn new(stream: S, stall_limit: Duration) -> (Self, Lifeline) {
        let (held, lifeline) = oneshot::channel();
        // Fails for anything but TCP, which has neither of the two.
        let quick_ack = rustix::net::sockopt::set_tcp_nodelay(&stream, true).is_ok();
        let mut socket = Self { stream, quick_ack, lifeline, stall_limit, stall: None };
        socket.acknowledge_at_once();
        (socket, held)
    }

    #[cfg(target_os = "linux")]
    fn acknowledge_at_once(&mut self) {
        if self.quick_ack {
            self.quick_ack = rustix::net::sockopt::set_tcp_quickack(&self.stream, true).is_ok();
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn acknowledge_at_once(&mut self) {
        self.quick_ack = false;
    }
}

impl<S> BastionSocket<S> {
    /// Registers with the lifeline, so that its end wakes whoever waits for this socket.
    fn poll_alive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match Pin::new(&mut self.lifeline).poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(_) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "given up")),
        }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let limit = self.stall_limit;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stall.as_mut().poll(cx));
        let text = format!("it takes no data for {} s", limit.as_secs());
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, text))
    }
}

impl<S: AsFd + AsyncRead + Unpin> AsyncRead for BastionSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_alive(cx)?;
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if result.is_ok() {
            self.acknowledge_at_once();
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BastionSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_alive(cx)?;
        match Pin::new(&mut self.stream).poll_write(cx, buf) {
            Poll::Ready(result) => {
                self.stall = None;
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_stall(cx).map(Err),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Never fails: russh shuts the socket down before it tells why the connection ended, and a
    /// failure here (the peer has reset it) would make it swallow that reason.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        if let Err(error) = result {
            tracing::debug!(%error, "shutting down the bastion socket");
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_waiting_read_fails_when_the_lifeline_is_dropped() {
        let (near, _far) = UnixStream::pair().unwrap();
        let (mut socket, lifeline) = BastionSocket::new(near, Duration::from_mins(1));
        let reading = tokio::spawn(async move { socket.read(&mut [0]).await });
        tokio::task::yield_now().await;
        drop(lifeline);
        let error = reading.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails_after_the_limit() {
        let (near, _far) = UnixStream::pair().unwrap();
        let (mut socket, _lifeline) = BastionSocket::new(near, Duration::from_mins(1));
        let begun = Instant::now();
        let error = socket.write_all(&vec![0; 16 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= Duration::from_mins(1));
    }
}
