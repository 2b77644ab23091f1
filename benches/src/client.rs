//! The measuring client: blocking connections, and the bursts that are timed on them.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::time::Instant;

use crate::wire;

/// No answer takes longer, unless something is broken.
const PATIENCE: Duration = Duration::from_secs(30);
/// A message of bulk input.
const COPY_DATA: usize = 8 * 1024;

/// A session.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, logs in and prepares the one statement.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let mut client = Self::idle(address)?;
        client.buffer = vec![0; 256 * 1024];
        client.stream.write_all(&wire::prepare())?;
        client.until_ready()?;
        Ok(client)
    }

    /// Connects and logs in, and holds little.
    pub(crate) fn idle(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self { stream, buffer: vec![0; 1024] };
        client.stream.write_all(&wire::startup("bench"))?;
        client.until_ready()?;
        Ok(client)
    }

    /// Runs `count` queries one after another. Returns what each took, in nanoseconds.
    pub(crate) fn serial(
        &mut self,
        request: &[u8],
        answer: usize,
        count: usize,
    ) -> io::Result<Vec<f64>> {
        let mut took = Vec::with_capacity(count);
        for _ in 0..count {
            let began = Instant::now();
            self.stream.write_all(request)?;
            self.skip(answer)?;
            took.push(nanos(began.elapsed()));
        }
        Ok(took)
    }

    /// Sends `depth` queries at once and reads all answers, `batches` times.
    pub(crate) fn pipelined(
        &mut self,
        request: &[u8],
        answer: usize,
        (depth, batches): (usize, usize),
    ) -> io::Result<f64> {
        let request = request.repeat(depth);
        let began = Instant::now();
        for _ in 0..batches {
            self.stream.write_all(&request)?;
            self.skip(answer * depth)?;
        }
        Ok(nanos(began.elapsed()))
    }

    /// Reads `bytes` in rows of `width` bytes.
    pub(crate) fn out(&mut self, width: usize, bytes: usize) -> io::Result<f64> {
        let began = Instant::now();
        self.stream.write_all(&wire::query(&format!("out {width} {bytes}")))?;
        self.until_ready()?;
        Ok(nanos(began.elapsed()))
    }

    /// Copies `bytes` in.
    pub(crate) fn copy_in(&mut self, bytes: usize) -> io::Result<f64> {
        let data = wire::message(b'd', &vec![b'x'; COPY_DATA]).repeat(16);
        let began = Instant::now();
        self.stream.write_all(&wire::query("in"))?;
        self.skip(wire::message(b'G', &[0, 0, 0]).len())?;
        for _ in 0..bytes.div_ceil(data.len()) {
            self.stream.write_all(&data)?;
        }
        self.stream.write_all(&wire::message(b'c', b""))?;
        self.until_ready()?;
        Ok(nanos(began.elapsed()))
    }

    /// Reads exactly so many bytes.
    fn skip(&mut self, bytes: usize) -> io::Result<()> {
        let mut missing = bytes;
        while missing > 0 {
            let limit = missing.min(self.buffer.len());
            let read = self.stream.read(self.buffer.get_mut(..limit).unwrap_or_default())?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            missing -= read;
        }
        Ok(())
    }

    /// Reads until what came ends with `ReadyForQuery`. Rows of the fake server never look like it.
    fn until_ready(&mut self) -> io::Result<()> {
        let keep = wire::READY.len();
        let mut held = 0;
        loop {
            let read = self.stream.read(self.buffer.get_mut(held..).unwrap_or_default())?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            held += read;
            if self.buffer.get(..held).unwrap_or_default().ends_with(wire::READY) {
                return Ok(());
            }
            let tail = held.saturating_sub(keep);
            self.buffer.copy_within(tail..held, 0);
            held -= tail;
        }
    }
}

/// Keeps one query in flight on each connection until `count` are answered in all.
pub(crate) fn concurrent(
    clients: &mut [Client],
    request: &[u8],
    answer: usize,
    count: usize,
) -> io::Result<f64> {
    let began = Instant::now();
    let (mut sent, mut answered) = (0, 0);
    for client in clients.iter_mut() {
        client.stream.write_all(request)?;
        sent += 1;
    }
    while answered < count.max(sent) {
        let mut waiting: Vec<_> =
            clients.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)).collect();
        poll(&mut waiting, Some(&PATIENCE.try_into().map_err(io::Error::other)?))?;
        let ready: Vec<_> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (client, _) in clients.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            client.skip(answer)?;
            answered += 1;
            if sent < count {
                client.stream.write_all(request)?;
                sent += 1;
            }
        }
    }
    Ok(nanos(began.elapsed()))
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}
