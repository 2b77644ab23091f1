//! A PostgreSQL client that knows framing and nothing else: it shows every message as it came.
//!
//! Written from the protocol's documentation alone and sharing no code with pgferry, so that one
//! misreading cannot hide on both sides of a test.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;

use super::PATIENCE;
use super::message::{V3_0, query, startup};

/// One message of the server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// A field of an error or notice: `C` is the SQLSTATE, `M` the message.
    pub(crate) fn field(&self, code: u8) -> Option<String> {
        let field = self.body.split(|byte| *byte == 0).find(|field| field.first() == Some(&code));
        field.map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    }

    /// The columns of a row; `None` is NULL.
    pub(crate) fn columns(&self) -> Vec<Option<String>> {
        assert_eq!(self.tag, b'D', "{self:?} is no row");
        let mut rest = &self.body[2..];
        let mut columns = Vec::new();
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(i32::from_be_bytes(*length)).ok();
            let (value, tail) = tail.split_at(length.unwrap_or(0));
            columns.push(length.map(|_| String::from_utf8_lossy(value).into_owned()));
            rest = tail;
        }
        columns
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.body[..self.body.len().min(300)].escape_ascii();
        write!(f, "{} ({} bytes) \"{shown}\"", char::from(self.tag), self.body.len())
    }
}

/// A connection.
pub(crate) struct Wire(BufReader<Socket>);

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    /// Connects to `ADDRESS:PORT` or to the socket at `/a/path`. Nothing is sent.
    pub(crate) fn connect(address: &str) -> Self {
        if address.starts_with('/') {
            return Self::over(UnixStream::connect(address).expect("the socket accepts"));
        }
        let stream = TcpStream::connect(address).expect("the port accepts");
        stream.set_nodelay(true).expect("small writes go out at once");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_write_timeout(Some(PATIENCE)).expect("a limit");
        Self(BufReader::with_capacity(64 * 1024, Socket::Tcp(stream)))
    }

    /// Over a connection that somebody else has made.
    pub(crate) fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_write_timeout(Some(PATIENCE)).expect("a limit");
        Self(BufReader::with_capacity(64 * 1024, Socket::Unix(stream)))
    }

    /// A session of protocol 3.0 in `app`, up to its first `ReadyForQuery`.
    pub(crate) fn session(address: &str, user: &str) -> Self {
        Self::greeted(address, V3_0, &[("user", user), ("database", "app")]).0
    }

    /// A session, and all the server said up to its first `ReadyForQuery`.
    pub(crate) fn greeted(
        address: &str,
        version: u32,
        parameters: &[(&str, &str)],
    ) -> (Self, Vec<Message>) {
        let mut wire = Self::connect(address);
        let greeting = wire.greet(version, parameters);
        (wire, greeting)
    }

    /// Asks for a session, and gives all the server said up to its first `ReadyForQuery`.
    pub(crate) fn greet(&mut self, version: u32, parameters: &[(&str, &str)]) -> Vec<Message> {
        self.send(&startup(version, parameters));
        self.until(b'Z')
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("the bytes are taken");
    }

    /// Sends bytes one by one.
    pub(crate) fn trickle(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]);
        }
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Message {
        self.try_next().expect("a message").expect("not the end")
    }

    /// The messages up to one of type `tag`.
    ///
    /// # Panics
    ///
    /// When the server closes first, with what it said before.
    pub(crate) fn until(&mut self, tag: u8) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            match self.try_next() {
                Ok(Some(message)) => messages.push(message),
                end => panic!("no {} but {end:?} after {messages:?}", char::from(tag)),
            }
            if messages.last().is_some_and(|message| message.tag == tag) {
                return messages;
            }
        }
    }

    /// Sends a simple query and returns its answer up to `ReadyForQuery`.
    pub(crate) fn query(&mut self, sql: &str) -> Vec<Message> {
        self.send(&query(sql));
        self.until(b'Z')
    }

    /// Writes while reading until there were `count` of `ReadyForQuery`: for more than fits into
    /// everything on the way.
    pub(crate) fn pour(&mut self, bytes: &[u8], count: usize) -> Vec<Message> {
        let mut writer = self.0.get_ref().try_clone().expect("a second handle");
        thread::scope(|scope| {
            scope.spawn(move || writer.write_all(bytes).expect("the bytes are taken"));
            (0..count).flat_map(|_| self.until(b'Z')).collect()
        })
    }

    /// One byte outside of any message: the answer to a request for encryption.
    pub(crate) fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.read_exact(&mut byte).expect("a byte");
        byte[0]
    }

    /// Everything up to the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("an orderly end");
        rest
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub(crate) fn close_write(&self) {
        self.0.get_ref().close_write().expect("the socket is open");
    }

    fn try_next(&mut self) -> io::Result<Option<Message>> {
        let mut header = [0; 5];
        if self.0.read(&mut header[..1])? == 0 {
            return Ok(None);
        }
        self.0.read_exact(&mut header[1..])?;
        let [tag, length @ ..] = header;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        self.0.read_exact(&mut body)?;
        Ok(Some(Message { tag, body }))
    }
}

impl Socket {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    fn close_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
