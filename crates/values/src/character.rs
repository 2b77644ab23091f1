//! Texts, which are the same in both forms, and single bytes.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use crate::{error::Fault, reader::Reader};

#[expect(clippy::unnecessary_wraps, reason = "the shape all types share")]
pub(crate) fn encode(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_slice(text.as_bytes());
    Ok(())
}

/// No text of a database holds a zero byte: no string in C could.
pub(crate) fn decode(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let text = reader.text()?;
    if text.contains('\0') {
        return Err(Fault::Binary("it holds a zero byte"));
    }
    out.push_str(text);
    Ok(())
}

/// Of `"char"`. Source: `char.c`: bytes that are no ASCII are printed in octal since PostgreSQL 15,
/// and before it as what no valid UTF-8 holds.
pub(crate) fn encode_byte(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let byte = match *text.as_bytes() {
        [] => 0,
        [byte] => byte,
        [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7'] => {
            (high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0')
        }
        _ => return Err(Fault::Text),
    };
    out.put_u8(byte);
    Ok(())
}

pub(crate) fn decode_byte(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    match reader.u8()? {
        0 => {}
        byte if byte.is_ascii() => out.push(char::from(byte)),
        byte => _ = write!(out, "\\{byte:03o}"),
    }
    Ok(())
}

/// Of `void`, which is nothing in both forms.
pub(crate) fn encode_void(text: &str, _: &mut BytesMut) -> Result<(), Fault> {
    if text.is_empty() { Ok(()) } else { Err(Fault::Text) }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape all types share")]
pub(crate) fn decode_void(_: &mut Reader<'_>, _: &mut String) -> Result<(), Fault> {
    Ok(())
}

pub(crate) fn refuse_encode(_: &str, _: &mut BytesMut) -> Result<(), Fault> {
    Err(Fault::NoBinary)
}

pub(crate) fn refuse_decode(_: &mut Reader<'_>, _: &mut String) -> Result<(), Fault> {
    Err(Fault::NoBinary)
}
