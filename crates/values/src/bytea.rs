//! Bytes, as hexadecimal digits or with escapes.

use bytes::{BufMut as _, BytesMut};

use crate::{error::Fault, reader::Reader};

/// Appends `bytes` as a server prints a `bytea` with `bytea_output` at its default.
pub fn write_hex(bytes: &[u8], out: &mut String) {
    out.reserve(2 + 2 * bytes.len());
    out.push_str("\\x");
    push_digits(bytes, out);
}

/// Source: "bytea Hex Format" and "bytea Escape Format" in chapter 8.4 of the documentation.
pub(crate) fn encode(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    match text.strip_prefix("\\x") {
        Some(digits) => put_hex(digits.as_bytes(), out),
        None => unescape(text.as_bytes(), out),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape all types share")]
pub(crate) fn decode(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write_hex(reader.rest(), out);
    Ok(())
}

pub(crate) fn push_digits(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            out.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
}

/// Appends the bytes that pairs of hexadecimal digits stand for.
pub(crate) fn put_hex(digits: &[u8], out: &mut BytesMut) -> Result<(), Fault> {
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(Fault::Text);
    }
    for [high, low] in pairs {
        out.put_u8(nibble(*high)? << 4 | nibble(*low)?);
    }
    Ok(())
}

fn nibble(digit: u8) -> Result<u8, Fault> {
    let value = char::from(digit).to_digit(16).ok_or(Fault::Text)?;
    u8::try_from(value).map_err(|_| Fault::Text)
}

fn unescape(mut text: &[u8], out: &mut BytesMut) -> Result<(), Fault> {
    loop {
        text = match text {
            [] => return Ok(()),
            [b'\\', b'\\', rest @ ..] => {
                out.put_u8(b'\\');
                rest
            }
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', rest @ ..] => {
                out.put_u8((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
                rest
            }
            [b'\\', ..] => return Err(Fault::Text),
            [byte, rest @ ..] => {
                out.put_u8(*byte);
                rest
            }
        }
    }
}
