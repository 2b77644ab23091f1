//! A unix stream socket that is woken only for what it waits for.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// A connected unix stream socket.
///
/// Unlike TCP, the kernel reports a unix socket as writable each time its peer has read something,
/// whether or not anybody waits for that. With tokio's own type, which asks for both events, every
/// message to a tunnel or to an application wakes the relay once more for nothing. So here only
/// reading is registered, and writing only where writes have to wait.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    reader: AsyncFd<UnixStream>,
    /// A second descriptor, there while writes have to wait: one can be registered only once.
    writer: Option<AsyncFd<UnixStream>>,
    /// Writes since one had to wait.
    smooth_writes: u32,
}

/// So many writes that need not wait, and writing is no longer registered. In bulk one waits every
/// few writes, and to register for each would cost more than it saves.
const SMOOTH: u32 = 32;

impl UnixSocket {
    /// Wraps a non-blocking socket. Belongs to the runtime it is called on.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        let reader = watch(stream, Interest::READABLE)?;
        Ok(Self { reader, writer: None, smooth_writes: 0 })
    }

    /// The user on the other end.
    pub(crate) fn peer_user(&self) -> io::Result<u32> {
        // Only tokio's own type can ask on every system; it is there for this question alone.
        let stream = tokio::net::UnixStream::from_std(self.reader.get_ref().try_clone()?)?;
        Ok(stream.peer_cred()?.uid())
    }

    /// Completes when there may be something to read, or an end.
    ///
    /// Cancel safety: takes nothing from the stream.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.reader.readable().await.map(|mut ready| ready.retain_ready())
    }

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(writer) = &self.writer {
                let mut ready = ready!(writer.poll_write_ready(cx))?;
                let Ok(written) = ready.try_io(|stream| write(stream.get_ref())) else {
                    self.smooth_writes = 0;
                    continue;
                };
                self.smooth_writes += 1;
                if self.smooth_writes == SMOOTH {
                    self.writer = None;
                }
                return Poll::Ready(written);
            }
            match write(self.reader.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let second = self.reader.get_ref().try_clone()?;
                    self.writer = Some(watch(second, Interest::WRITABLE)?);
                    self.smooth_writes = 0;
                }
                written => return Poll::Ready(written),
            }
        }
    }

    /// Runs `look` on the socket; clears the readiness if it would block.
    pub(super) fn try_read<T>(
        &self,
        look: impl FnOnce(&UnixStream) -> io::Result<T>,
    ) -> io::Result<T> {
        self.reader.try_io(Interest::READABLE, look)
    }
}

impl AsyncRead for UnixSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.reader.poll_read_ready(cx))?;
            let free = buf.initialize_unfilled();
            let wanted = free.len();
            let read = ready.try_io(|stream| stream.get_ref().read(free));
            // Not ready after all: registered again by the next look.
            let Ok(read) = read else { continue };
            let count = read?;
            if (1..wanted).contains(&count) {
                // The socket is empty now: no need for a read that finds nothing.
                ready.clear_ready();
            }
            buf.advance(count);
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for UnixSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(cx, |mut stream| stream.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(cx, |mut stream| stream.write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.reader.get_ref().shutdown(Shutdown::Write))
    }
}

#[expect(
    deprecated,
    reason = "unsound for types that change their descriptor; a stream keeps its own"
)]
fn watch(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn pair() -> (UnixSocket, UnixSocket) {
        let (one, two) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        two.set_nonblocking(true).unwrap();
        (UnixSocket::new(one).unwrap(), UnixSocket::new(two).unwrap())
    }

    #[tokio::test]
    async fn more_than_the_socket_holds_arrives_whole_and_then_ends() {
        let (mut one, mut two) = pair();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
        let writing = async {
            one.write_all(&sent).await.unwrap();
            one.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let ((), read) = tokio::join!(writing, two.read_to_end(&mut received));
        read.unwrap();
        assert!(received == sent);
    }

    #[tokio::test]
    async fn writing_is_registered_only_while_writes_have_to_wait() {
        let (mut one, mut two) = pair();
        let bulk = vec![0; 3_000_000];
        let mut received = vec![0; bulk.len()];
        let (written, read) = tokio::join!(one.write_all(&bulk), two.read_exact(&mut received));
        written.and(read).unwrap();
        assert!(one.writer.is_some());
        for _ in 0..SMOOTH {
            one.write_all(&[1]).await.unwrap();
            two.read_u8().await.unwrap();
        }
        assert!(one.writer.is_none());
    }

    #[tokio::test]
    async fn both_directions_take_turns() {
        let (mut one, mut two) = pair();
        for turn in 0..100_u8 {
            one.write_all(&[turn]).await.unwrap();
            assert_eq!(two.read_u8().await.unwrap(), turn);
            two.write_all(&[turn]).await.unwrap();
            assert_eq!(one.read_u8().await.unwrap(), turn);
        }
    }
}
