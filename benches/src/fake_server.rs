//! A server that answers from memory: it takes PostgreSQL's own time and noise out of the figures.
//!
//! A thread per connection with blocking reads and writes: nothing is cheaper while few of them are
//! busy at a time.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::wire;

const BUFFER: usize = 256 * 1024;
/// Rows that are written at once.
const BULK: usize = 256 * 1024;
const STACK: usize = 128 * 1024;

/// Serves on a port of its own choice, which it prints, until it is ended.
pub(crate) fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        // An end of the connection is no fault.
        thread::Builder::new().stack_size(STACK).spawn(move || session(stream).ok())?;
    }
    Ok(())
}

fn session(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while startup(&mut stream)?.get(..4) != Some(&[0, 3, 0, 0]) {
        // SSLRequest and its like.
        stream.write_all(b"N")?;
    }
    stream.write_all(&wire::greeting())?;
    let mut session = Session::new(stream);
    // Grown on demand: a session that rests after its login holds little.
    let mut buffer = vec![0; 4096];
    let mut held = 0;
    loop {
        let free = buffer.get_mut(held..).unwrap_or_default();
        let read = session.stream.read(free)?;
        if read == 0 {
            return Ok(());
        }
        held += read;
        let taken = session.take(buffer.get(..held).unwrap_or_default())?;
        buffer.copy_within(taken..held, 0);
        held -= taken;
        if held + 512 > buffer.len() || read > 2048 {
            buffer.resize(BUFFER, 0);
        }
    }
}

fn startup(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length).saturating_sub(4);
    let mut packet = vec![0; length as usize];
    stream.read_exact(&mut packet)?;
    Ok(packet)
}

struct Session {
    stream: TcpStream,
    answer: Vec<u8>,
    simple: Vec<u8>,
    execute: Vec<u8>,
    /// Bytes of a copy's message that are still to come.
    skip: usize,
}

impl Session {
    fn new(stream: TcpStream) -> Self {
        let execute = [wire::row(2), wire::complete("SELECT 1")].concat();
        Self { stream, answer: Vec::new(), simple: wire::simple_answer(), execute, skip: 0 }
    }

    /// Answers all whole messages, with one write. Returns how many bytes they were.
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        loop {
            let skipped = self.skip.min(rest.len());
            self.skip -= skipped;
            rest = rest.get(skipped..).unwrap_or_default();
            let Some(([tag, length @ ..], body)) = rest.split_first_chunk::<5>() else { break };
            let length = (u32::from_be_bytes(*length) as usize).saturating_sub(4);
            if *tag == b'd' {
                self.skip = length;
                rest = body;
                continue;
            }
            let Some((body, next)) = body.split_at_checked(length) else { break };
            self.answer(*tag, body)?;
            rest = next;
        }
        if !self.answer.is_empty() {
            self.stream.write_all(&self.answer)?;
            self.answer.clear();
        }
        Ok(bytes.len() - rest.len())
    }

    fn answer(&mut self, tag: u8, body: &[u8]) -> io::Result<()> {
        match tag {
            b'Q' => return self.query(body),
            b'P' => self.answer.extend(b"1\0\0\0\x04"),
            b'B' => self.answer.extend(b"2\0\0\0\x04"),
            b'C' => self.answer.extend(b"3\0\0\0\x04"),
            b'D' => self.answer.extend(wire::row_description()),
            b'E' => self.answer.extend_from_slice(&self.execute),
            b'S' => self.answer.extend(wire::READY),
            b'c' => {
                self.answer.extend(wire::complete("COPY 1"));
                self.answer.extend(wire::READY);
            }
            b'X' => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ => {}
        }
        Ok(())
    }

    fn query(&mut self, body: &[u8]) -> io::Result<()> {
        let text = body.strip_suffix(b"\0").unwrap_or(body);
        if let Some(wanted) = text.strip_prefix(wire::OUT) {
            return self.out(wanted);
        }
        if text == wire::IN {
            self.answer.extend(wire::message(b'G', &[0, 0, 0]));
        } else {
            self.answer.extend_from_slice(&self.simple);
        }
        Ok(())
    }

    /// Rows of so many bytes, until there are so many bytes.
    fn out(&mut self, wanted: &[u8]) -> io::Result<()> {
        let mut words = std::str::from_utf8(wanted).unwrap_or("").split(' ');
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let (width, total): (usize, usize) = (number(), number());
        let row = wire::row(width);
        let rows = row.repeat(BULK.div_ceil(row.len()));
        self.stream.write_all(&wire::row_description())?;
        for _ in 0..total.div_ceil(rows.len()) {
            self.stream.write_all(&rows)?;
        }
        self.answer.extend(wire::complete("SELECT 1"));
        self.answer.extend(wire::READY);
        Ok(())
    }
}
