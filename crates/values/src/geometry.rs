//! Points, and what they make up.

use bytes::{BufMut as _, BytesMut};

use crate::{
    error::Fault,
    float::{parse8, write8},
    reader::Reader,
    scan::Scan,
};

/// Every form here is one of numbers, with something between them. Source: `geo_ops.c`.
pub(crate) fn encode_point(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    put_pattern(text, &["(", ",", ")"], out)
}

pub(crate) fn decode_point(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write_pattern(reader, &["(", ",", ")"], out)
}

pub(crate) fn encode_line(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    put_pattern(text, &["{", ",", ",", "}"], out)
}

pub(crate) fn decode_line(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write_pattern(reader, &["{", ",", ",", "}"], out)
}

pub(crate) fn encode_lseg(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    put_pattern(text, &["[(", ",", "),(", ",", ")]"], out)
}

pub(crate) fn decode_lseg(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write_pattern(reader, &["[(", ",", "),(", ",", ")]"], out)
}

pub(crate) fn encode_box(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    put_pattern(text, &["(", ",", "),(", ",", ")"], out)
}

pub(crate) fn decode_box(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write_pattern(reader, &["(", ",", "),(", ",", ")"], out)
}

pub(crate) fn encode_circle(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    put_pattern(text, &["<(", ",", "),", ">"], out)
}

pub(crate) fn decode_circle(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write_pattern(reader, &["<(", ",", "),", ">"], out)
}

/// Whether it is closed, which its outer parentheses tell, then as a polygon.
pub(crate) fn encode_path(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let open = text.starts_with('[');
    out.put_u8(u8::from(!open));
    let (first, last) = if open { ("[", "]") } else { ("(", ")") };
    put_points(text, first, last, out)
}

pub(crate) fn decode_path(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let (first, last) = if reader.u8()? == 0 { ('[', ']') } else { ('(', ')') };
    out.push(first);
    write_points(reader, out)?;
    out.push(last);
    Ok(())
}

/// The number of points, and each of them.
pub(crate) fn encode_polygon(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    put_points(text, "(", ")", out)
}

pub(crate) fn decode_polygon(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    out.push('(');
    write_points(reader, out)?;
    out.push(')');
    Ok(())
}

/// Reads a number between any two parts of the pattern.
fn put_pattern(text: &str, pattern: &[&str], out: &mut BytesMut) -> Result<(), Fault> {
    let mut scan = Scan::new(text);
    for (index, part) in pattern.iter().enumerate() {
        if index > 0 {
            put_number(&mut scan, out)?;
        }
        scan.expect(part)?;
    }
    scan.finish()
}

fn write_pattern(reader: &mut Reader<'_>, pattern: &[&str], out: &mut String) -> Result<(), Fault> {
    for (index, part) in pattern.iter().enumerate() {
        if index > 0 {
            write8(reader.f64()?, out);
        }
        out.push_str(part);
    }
    Ok(())
}

fn put_points(text: &str, first: &str, last: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let mut numbers = BytesMut::new();
    let mut count = 0_i32;
    let mut scan = Scan::new(text);
    scan.expect(first)?;
    while scan.peek() == Some(b'(') {
        for before in ["(", ","] {
            scan.expect(before)?;
            put_number(&mut scan, &mut numbers)?;
        }
        scan.expect(")")?;
        count = count.checked_add(1).ok_or(Fault::OutOfRange)?;
        if !scan.eats(",") {
            break;
        }
    }
    scan.expect(last)?;
    scan.finish()?;
    out.put_i32(count);
    out.put_slice(&numbers);
    Ok(())
}

fn write_points(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    for index in 0..reader.count()? {
        if index > 0 {
            out.push(',');
        }
        decode_point(reader, out)?;
    }
    Ok(())
}

fn put_number(scan: &mut Scan<'_>, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_f64(parse8(scan.until(b",()[]{}<>"))?);
    Ok(())
}
