//! Truth values and whole numbers.

use std::{fmt::Write as _, str::FromStr};

use bytes::{BufMut as _, BytesMut};

use crate::{error::Fault, kind::may_be, reader::Reader, scan::integer};

/// A boolean is printed as `t` alone and in a record, but cast to text it is `true`.
pub(crate) fn encode_bool(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_u8(match text {
        "t" | "true" => 1,
        "f" | "false" => 0,
        _ => return Err(Fault::Text),
    });
    Ok(())
}

pub(crate) fn decode_bool(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    out.push(if reader.u8()? == 0 { 'f' } else { 't' });
    Ok(())
}

pub(crate) fn encode_int2(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_i16(integer(text)?);
    Ok(())
}

pub(crate) fn decode_int2(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    print(reader.i16()?, out)
}

pub(crate) fn encode_int4(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_i32(integer(text)?);
    Ok(())
}

pub(crate) fn decode_int4(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    print(reader.i32()?, out)
}

pub(crate) fn encode_int8(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_i64(integer(text)?);
    Ok(())
}

pub(crate) fn decode_int8(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    print(reader.i64()?, out)
}

pub(crate) fn encode_oid(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_u32(integer(text)?);
    Ok(())
}

pub(crate) fn decode_oid(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    print(reader.u32()?, out)
}

/// An OID that has no name is printed as itself, and zero as a dash. A name that looks like a number
/// is quoted. Source: `regproc.c`.
pub(crate) fn encode_reg(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    if text == "-" {
        out.put_u32(0);
        return Ok(());
    }
    encode_oid(text, out).map_err(|_| Fault::Lookup)
}

/// As the others, but a dash is an operator, and zero is itself.
pub(crate) fn encode_reg_operator(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    encode_oid(text, out).map_err(|_| Fault::Lookup)
}

pub(crate) fn decode_reg(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    match reader.u32()? {
        0 => out.push('-'),
        oid => print(oid, out)?,
    }
    Ok(())
}

pub(crate) fn encode_xid8(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_u64(integer(text)?);
    Ok(())
}

pub(crate) fn decode_xid8(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    print(reader.u64()?, out)
}

pub(crate) fn encode_int2vector(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let numbers: Vec<i16> = spaced(text)?;
    put_vector_header(INT2_OID, numbers.len(), out)?;
    for number in numbers {
        out.put_i32(2);
        out.put_i16(number);
    }
    Ok(())
}

pub(crate) fn decode_int2vector(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    decode_vector(INT2_OID, reader, decode_int2, out)
}

pub(crate) fn encode_oidvector(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let numbers: Vec<u32> = spaced(text)?;
    put_vector_header(OID_OID, numbers.len(), out)?;
    for number in numbers {
        out.put_i32(4);
        out.put_u32(number);
    }
    Ok(())
}

pub(crate) fn decode_oidvector(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    decode_vector(OID_OID, reader, decode_oid, out)
}

fn spaced<T: FromStr>(text: &str) -> Result<Vec<T>, Fault> {
    text.split_ascii_whitespace().map(integer).collect()
}

/// Both vectors are arrays of one dimension without NULL, and count from zero. Source: `int.c`.
fn put_vector_header(element: u32, length: usize, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_i32(1);
    out.put_i32(0);
    out.put_u32(element);
    out.put_i32(i32::try_from(length).map_err(|_| Fault::OutOfRange)?);
    out.put_i32(0);
    Ok(())
}

fn decode_vector(
    element: u32,
    reader: &mut Reader<'_>,
    decode: impl Fn(&mut Reader<'_>, &mut String) -> Result<(), Fault>,
    out: &mut String,
) -> Result<(), Fault> {
    let no_vector = Fault::Binary("it is no array of one dimension");
    let dimensions = reader.i32()?;
    // The flag says whether there may be NULL, not that there is.
    if dimensions != 1 || !matches!(reader.i32()?, 0 | 1) || !may_be(reader.u32()?, element) {
        return Err(no_vector);
    }
    let count = reader.count()?;
    reader.i32()?;
    for index in 0..count {
        if index > 0 {
            out.push(' ');
        }
        let mut value = Reader::new(reader.value()?.ok_or(no_vector)?);
        decode(&mut value, out)?;
        value.finish()?;
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the last line of functions that may fail")]
fn print(number: impl std::fmt::Display, out: &mut String) -> Result<(), Fault> {
    _ = write!(out, "{number}");
    Ok(())
}

const INT2_OID: u32 = 21;
const OID_OID: u32 = 26;
