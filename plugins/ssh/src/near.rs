//! The host's end of a session: a unix socket that is woken only for what it waits for.

use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as StdUnixStream;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

/// The socket that the host reads from and writes to.
///
/// Unlike TCP, the kernel reports a unix socket as writable each time its peer has read something,
/// whether or not anybody waits for that. With tokio's own type, which asks for both events, every
/// answer wakes this side once more for nothing. So here only reading is registered, and writing only
/// where writes have to wait.
pub(crate) struct Near(AsyncFd<StdUnixStream>);

impl Near {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        watch(stream.into_std()?, Interest::READABLE).map(Self)
    }

    /// What there is, [`CHUNK`] bytes at most; nothing at the end.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn read(&self) -> io::Result<Bytes> {
        loop {
            // An idle session holds no buffer.
            let mut ready = self.0.readable().await?;
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = ready.try_io(|stream| {
                Ok(rustix::io::read(stream.get_ref(), spare_capacity(&mut chunk))?)
            });
            let Ok(read) = read else { continue };
            if (1..CHUNK).contains(&read?) {
                // The socket is empty now: no need for a read that finds nothing.
                ready.clear_ready();
            }
            return Ok(chunk.into());
        }
    }

    pub(crate) fn writer(&self) -> Writer<'_> {
        Writer { near: self, waiting: None, smooth: 0 }
    }
}

/// The direction to the host.
pub(crate) struct Writer<'a> {
    near: &'a Near,
    /// A second descriptor, there while writes have to wait: one can be registered only once.
    waiting: Option<AsyncFd<StdUnixStream>>,
    /// Writes since one had to wait.
    smooth: u32,
}

impl Writer<'_> {
    pub(crate) fn shutdown(&self) -> io::Result<()> {
        self.near.0.get_ref().shutdown(Shutdown::Write)
    }

    /// Writes some of `bytes`, as soon as the host takes any.
    ///
    /// Cancel safety: if it was dropped, it wrote nothing.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if let Some(waiting) = &self.waiting {
                let mut ready = waiting.writable().await?;
                let Ok(written) = ready.try_io(|stream| stream.get_ref().write(bytes)) else {
                    self.smooth = 0;
                    continue;
                };
                self.smooth += 1;
                if self.smooth == SMOOTH {
                    self.waiting = None;
                }
                return written;
            }
            let mut stream = self.near.0.get_ref();
            match stream.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting = Some(watch(stream.try_clone()?, Interest::WRITABLE)?);
                    self.smooth = 0;
                }
                written => return written,
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "unsound for types that change their descriptor; a stream keeps its own"
)]
fn watch(stream: StdUnixStream, interest: Interest) -> io::Result<AsyncFd<StdUnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

/// OpenSSH's largest packet: what is read at once goes out as one.
const CHUNK: usize = 32 * 1024;
/// So many writes that need not wait, and writing is no longer registered. In bulk one waits every
/// few writes, and to register for each would cost more than it saves.
const SMOOTH: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_than_the_socket_holds_arrives_whole_and_then_ends() {
        let (one, two) = UnixStream::pair().unwrap();
        let (one, two) = (Near::new(one).unwrap(), Near::new(two).unwrap());
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
        let writing = async {
            let mut writer = one.writer();
            let mut rest = sent.as_slice();
            while !rest.is_empty() {
                rest = &rest[writer.write(rest).await.unwrap()..];
            }
            writer.shutdown().unwrap();
        };
        let reading = async {
            let mut received = Vec::new();
            loop {
                let chunk = two.read().await.unwrap();
                if chunk.is_empty() {
                    return received;
                }
                received.extend_from_slice(&chunk);
            }
        };
        let ((), received) = tokio::join!(writing, reading);
        assert!(received == sent);
    }
}
