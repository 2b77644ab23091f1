//! The frontend's side of the protocol by hand: for what no driver would do, and for errors as they
//! come over the wire. Source: PostgreSQL documentation, "Message Formats".

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::PATIENCE;
use super::pgferry::Pgferry;

/// A connection as user `me` to database `app`.
pub(crate) struct Wire {
    stream: TcpStream,
}

/// A message: its tag and its body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

/// The fields of an `ErrorResponse` that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) severity: String,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Wire {
    /// Connects and says nothing.
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the listener accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_write_timeout(Some(PATIENCE)).expect("a limit");
        Self { stream }
    }

    /// Connects and asks for a session with these parameters.
    pub(crate) fn start(port: u16, parameters: &[(&str, &str)]) -> Self {
        let mut wire = Self::connect(port);
        let mut body = 0x0003_0000_u32.to_be_bytes().to_vec();
        for (name, value) in parameters {
            body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        body.push(0);
        wire.write(&[&length(body.len()), &body[..]].concat());
        wire
    }

    /// A session of a target that works.
    pub(crate) fn serving(pgferry: &Pgferry, target: &str) -> Self {
        let mut wire = Self::open(pgferry.port(target))
            .unwrap_or_else(|fault| panic!("no session: {fault:?}\n{}", pgferry.log().text()));
        assert_eq!(wire.query("select 42"), Ok(vec!["42".to_owned()]));
        wire
    }

    /// A session that is ready for its first query, or why there is none.
    pub(crate) fn open(port: u16) -> Result<Self, Fault> {
        Self::open_with(port, &ME)
    }

    pub(crate) fn open_with(port: u16, parameters: &[(&str, &str)]) -> Result<Self, Fault> {
        let mut wire = Self::start(port, parameters);
        wire.ready().map(|_| wire)
    }

    /// Why there is no session.
    pub(crate) fn refused(port: u16) -> Fault {
        Self::open(port).err().expect("no session")
    }

    /// The process id and the whole body of the `BackendKeyData` of a new session.
    pub(crate) fn open_with_key(port: u16) -> (Self, Vec<u8>) {
        let mut wire = Self::start(port, &ME);
        let messages = wire.ready().expect("a session");
        let key = messages.into_iter().find(|message| message.tag == b'K');
        (wire, key.expect("a cancel key").body)
    }

    /// Sends a `CancelRequest` on a connection of its own and waits until it was dealt with.
    pub(crate) fn cancel(port: u16, key: &[u8]) {
        let mut wire = Self::connect(port);
        let body = [&80_877_102_u32.to_be_bytes(), key].concat();
        wire.write(&[&length(body.len()), &body[..]].concat());
        assert_eq!(wire.rest().expect("an orderly end"), b"", "a cancel request has no answer");
    }

    pub(crate) fn send(&mut self, tag: u8, body: &[u8]) {
        self.write(&[&[tag], &length(body.len())[..], body].concat());
    }

    /// Starts a simple query.
    pub(crate) fn ask(&mut self, sql: &str) {
        self.send(b'Q', &[sql.as_bytes(), b"\0"].concat());
    }

    /// Runs a simple query and gives the first column of its rows.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Vec<String>, Fault> {
        self.ask(sql);
        let rows = self.ready()?;
        Ok(rows.iter().filter(|message| message.tag == b'D').map(first_column).collect())
    }

    /// Reads up to and including `ReadyForQuery`, or to an error.
    pub(crate) fn ready(&mut self) -> Result<Vec<Message>, Fault> {
        let mut messages = Vec::new();
        loop {
            let message = self.next().expect("a message").expect("not the end");
            match message.tag {
                b'E' => return Err(Fault::parse(&message.body)),
                b'Z' => return Ok(messages),
                _ => messages.push(message),
            }
        }
    }

    /// Reads past everything else to an error.
    pub(crate) fn fault(&mut self) -> Fault {
        loop {
            let message = self.next().expect("a message").expect("an error, not the end");
            if message.tag == b'E' {
                return Fault::parse(&message.body);
            }
        }
    }

    /// The next message; `None` at an orderly end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Message>> {
        let mut head = [0; 5];
        // A read with a limit comes back when the process was stopped and goes on.
        let first = loop {
            match self.stream.read(&mut head[..1]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if first == 0 {
            return Ok(None);
        }
        self.stream.read_exact(&mut head[1..])?;
        let [tag, length @ ..] = head;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        self.stream.read_exact(&mut body)?;
        Ok(Some(Message { tag, body }))
    }

    /// Everything to the end of the connection.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).map(|_| rest)
    }

    /// Asserts that nothing more comes but the end.
    pub(crate) fn assert_closed(&mut self) {
        assert_eq!(self.rest().expect("an orderly end"), b"");
    }

    /// Ends this direction.
    pub(crate) fn shutdown(&self) {
        self.stream.shutdown(Shutdown::Write).expect("a connected socket");
    }

    /// Waits less than usual for the next byte.
    pub(crate) fn set_patience(&self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit)).expect("a limit");
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the other side takes it");
    }
}

impl Fault {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut fault = Self::default();
        for field in body.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
            let value = String::from_utf8_lossy(&field[1..]).into_owned();
            match field[0] {
                b'S' => fault.severity = value,
                b'C' => fault.code = value,
                b'M' => fault.message = value,
                b'H' => fault.hint = Some(value),
                _ => {}
            }
        }
        fault
    }

    /// Asserts that pgferry says it of this target: fatally, with the code, these words, and a hint
    /// with those.
    pub(crate) fn assert(&self, target: &str, code: &str, words: &[&str], hint: &str) {
        assert_eq!(self.severity, "FATAL", "{self:?}");
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.message.starts_with(&format!("target \"{target}\": ")), "{self:?}");
        for word in words {
            assert!(self.message.contains(word), "{word:?} is not in {self:?}");
        }
        assert!(self.hint.as_ref().is_some_and(|is| is.contains(hint)), "{hint:?}: {self:?}");
    }
}

fn first_column(row: &Message) -> String {
    let length = u32::from_be_bytes(row.body[2..6].try_into().expect("four bytes")) as usize;
    String::from_utf8_lossy(&row.body[6..6 + length]).into_owned()
}

fn length(body: usize) -> [u8; 4] {
    u32::try_from(body + 4).expect("a small message").to_be_bytes()
}

pub(crate) const ME: [(&str, &str); 2] = [("user", "me"), ("database", "app")];
