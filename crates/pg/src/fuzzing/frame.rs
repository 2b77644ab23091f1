//! Framing: the same messages however the stream is cut, as a reader of the whole would find them.
//!
//! The input is a byte for the side, four for the sizes of chunks, then the stream.

use bytes::BytesMut;

use super::{take, take_byte};
use crate::{
    frame::{FrameError, Framer, MESSAGE_LENGTH_MAX, PREFIX_MAX, Side},
    message::{MessageError, Raw},
};

/// Longest body that is taken off as a whole message.
const BODY_MAX: usize = 64;

/// What comes of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    messages: Vec<(u8, usize, Vec<u8>)>,
    result: Result<(), FrameError>,
    at_boundary: bool,
}

pub(super) fn check(data: &[u8]) {
    let mut stream = data;
    let side = if take_byte(&mut stream) & 1 == 0 { Side::Frontend } else { Side::Backend };
    let sizes = take(&mut stream, 4);
    let expected = read_whole(side, stream);
    for sizes in [&[][..], &[0], sizes] {
        assert_eq!(scan(side, stream, sizes), expected, "in chunks of {sizes:?}");
    }
    take_messages(stream);
}

/// The whole stream at once, by the rules alone.
fn read_whole(side: Side, mut stream: &[u8]) -> Seen {
    let (told, shown): (&[u8], &[u8]) = match side {
        Side::Frontend => (b"QPBECDFSHXcf", b"QPBEC"),
        Side::Backend => (b"ZECTntGHWcVAINS123sKv", b"ZEC"),
    };
    let mut found = Seen { messages: Vec::new(), result: Ok(()), at_boundary: false };
    while let [tag, a, b, c, d, after @ ..] = stream {
        let (tag, length) = (*tag, i32::from_be_bytes([*a, *b, *c, *d]));
        if length < 4 {
            return Seen { result: Err(FrameError::TooShort { tag, length }), ..found };
        }
        if length > MESSAGE_LENGTH_MAX {
            return Seen { result: Err(FrameError::TooLong { tag, length }), ..found };
        }
        let body_len = length.unsigned_abs() as usize - 4;
        if after.len() < body_len {
            return found;
        }
        let (body, next) = after.split_at(body_len);
        if told.contains(&tag) {
            let prefix_len = if shown.contains(&tag) { body_len.min(PREFIX_MAX) } else { 0 };
            found.messages.push((tag, body_len, body[..prefix_len].to_vec()));
        }
        stream = next;
    }
    Seen { at_boundary: stream.is_empty(), ..found }
}

/// The stream through a framer, in chunks of these sizes, over and over; without any, in one.
fn scan(side: Side, mut stream: &[u8], sizes: &[u8]) -> Seen {
    let mut framer = Framer::new(side);
    let mut messages = Vec::new();
    let mut result = Ok(());
    let mut sizes = sizes.iter().cycle();
    while !stream.is_empty() && result.is_ok() {
        let length = sizes.next().map_or(stream.len(), |size| usize::from(*size) + 1);
        let chunk = take(&mut stream, length);
        result = framer.scan(chunk, |m| messages.push((m.tag, m.body_len, m.prefix.to_vec())));
    }
    if result.is_err() {
        let again = framer.scan(b"Z\0\0\0\x05I", |_| panic!("a message out of a lost stream"));
        assert_eq!(again, result, "a lost stream stays lost");
    }
    Seen { messages, result, at_boundary: framer.at_boundary() }
}

/// Whole messages are taken off without a byte lost or changed.
fn take_messages(mut stream: &[u8]) {
    let mut buffer = BytesMut::from(stream);
    loop {
        match Raw::take(&mut buffer, BODY_MAX) {
            Ok(Some(raw)) => {
                assert!(raw.body.len() <= BODY_MAX);
                let encoded = raw.encode();
                assert_eq!(&encoded[..], take(&mut stream, encoded.len()));
            }
            Ok(None) => {
                assert!(stream.len() < BODY_MAX + 5, "a whole message was left");
                break;
            }
            Err(MessageError::Length { length, .. }) => {
                assert!(length < 4 || length as usize > BODY_MAX + 4);
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(&buffer[..], stream, "what is left is what was not taken");
}
