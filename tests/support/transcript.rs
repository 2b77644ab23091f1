//! Recorded conversations of real clients, read back to the bytes they were.
//!
//! A line holds the number of the connection, `F` or `B` for the side that speaks, the message's name, and its body in
//! words: `"text"` ends with a zero byte, `'raw'` does not, `5i16` is a number of sixteen bits. Length and type byte
//! follow from these. Written by `scripts/record-transcripts.py`; no line of this is pgferry's.

use std::fs;
use std::path::{Path, PathBuf};

/// Every transcript.
pub(crate) const NAMES: [&str; 4] = ["psql", "libpq", "pgjdbc", "asyncpg"];

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) connection: u32,
    pub(crate) from_frontend: bool,
    pub(crate) name: String,
    /// The whole message as it was on the wire.
    pub(crate) bytes: Vec<u8>,
}

/// `tests/transcripts/FILE`; `root` is the repository's.
pub(crate) fn path(root: &Path, file: &str) -> PathBuf {
    root.join("tests/transcripts").join(file)
}

/// The transcript of that name.
pub(crate) fn read(root: &Path, name: &str) -> Vec<Line> {
    let file = path(root, &format!("{name}.txt"));
    let text = fs::read_to_string(&file).expect("a transcript");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(parse).collect()
}

fn parse(line: &str) -> Line {
    let mut parts = line.splitn(4, ' ');
    let mut part = || parts.next().unwrap_or_default();
    let connection = part().parse().expect("the number of a connection");
    let from_frontend = match part() {
        "F" => true,
        "B" => false,
        side => panic!("{side} in {line}"),
    };
    let name = part().to_owned();
    let body = words(part());
    let bytes = match tag(from_frontend, &name) {
        Header::None => body,
        Header::Length => with_length(&[], &body),
        Header::Tag(tag) => with_length(&[tag], &body),
    };
    Line { connection, from_frontend, name, bytes }
}

enum Header {
    None,
    Length,
    Tag(u8),
}

/// Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>
fn tag(from_frontend: bool, name: &str) -> Header {
    Header::Tag(match (from_frontend, name) {
        (false, "EncryptionResponse") => return Header::None,
        (true, "SSLRequest" | "GSSENCRequest" | "CancelRequest" | "StartupMessage") => {
            return Header::Length;
        }
        (true, "Query") => b'Q',
        (true, "Parse") => b'P',
        (true, "Bind") => b'B',
        (true, "Describe") | (false, "DataRow") => b'D',
        (true, "Execute") | (false, "ErrorResponse") => b'E',
        (true, "Close") | (false, "CommandComplete") => b'C',
        (true, "Sync") | (false, "ParameterStatus") => b'S',
        (true, "Flush") | (false, "CopyOutResponse") => b'H',
        (true, "FunctionCall") => b'F',
        (_, "CopyData") => b'd',
        (_, "CopyDone") => b'c',
        (true, "CopyFail") => b'f',
        (true, "Terminate") => b'X',
        (false, "Authentication") => b'R',
        (false, "BackendKeyData") => b'K',
        (false, "ReadyForQuery") => b'Z',
        (false, "ParseComplete") => b'1',
        (false, "BindComplete") => b'2',
        (false, "CloseComplete") => b'3',
        (false, "RowDescription") => b'T',
        (false, "ParameterDescription") => b't',
        (false, "NoData") => b'n',
        (false, "EmptyQueryResponse") => b'I',
        (false, "PortalSuspended") => b's',
        (false, "NoticeResponse") => b'N',
        (false, "NotificationResponse") => b'A',
        (false, "CopyInResponse") => b'G',
        _ => panic!("there is no message {name}"),
    })
}

fn with_length(tag: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a message shorter than 4 GiB");
    [tag, &length.to_be_bytes(), body].concat()
}

fn words(text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            ' ' => &rest[1..],
            '"' | '\'' => quoted(rest, &mut body),
            _ => number(rest, &mut body),
        };
    }
    body
}

fn number<'a>(text: &'a str, body: &mut Vec<u8>) -> &'a str {
    let (word, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
    let (value, bits) = word.split_once('i').expect("a number and its bits");
    let value: i32 = value.parse().expect("a number");
    let bytes = value.to_be_bytes();
    match bits {
        "8" => body.extend(&bytes[3..]),
        "16" => body.extend(&bytes[2..]),
        "32" => body.extend(bytes),
        bits => panic!("{bits} bits"),
    }
    rest
}

fn quoted<'a>(text: &'a str, body: &mut Vec<u8>) -> &'a str {
    let bytes = text.as_bytes();
    let quote = bytes[0];
    let mut place = 1;
    while bytes[place] != quote {
        let (byte, length) = match &bytes[place..] {
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b'x', ..] => {
                let digits = &text[place + 2..place + 4];
                (u8::from_str_radix(digits, 16).expect("two hexadecimal digits"), 4)
            }
            [b'\\', byte, ..] => (*byte, 2),
            [byte, ..] => (*byte, 1),
            [] => panic!("{text} does not end"),
        };
        body.push(byte);
        place += length;
    }
    if quote == b'"' {
        body.push(0);
    }
    &text[place + 1..]
}
