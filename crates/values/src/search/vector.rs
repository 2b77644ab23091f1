//! `tsvector`.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use super::{read_lexeme, write_lexeme};
use crate::{error::Fault, reader::Reader, scan::Scan};

/// The number of lexemes, and each with its positions, whose upper two bits are a weight.
/// Source: `tsvectorsend` in `tsvector.c`.
pub(crate) fn encode_vector(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let mut scan = Scan::new(text);
    let mut entries = BytesMut::new();
    let mut count = 0_i32;
    while scan.peek().is_some() {
        if count > 0 {
            scan.expect(" ")?;
        }
        entries.put_slice(read_lexeme(&mut scan)?.as_bytes());
        entries.put_u8(0);
        let positions = read_positions(&mut scan)?;
        entries.put_u16(u16::try_from(positions.len()).map_err(|_| Fault::OutOfRange)?);
        for position in positions {
            entries.put_u16(position);
        }
        count = count.checked_add(1).ok_or(Fault::OutOfRange)?;
    }
    out.put_i32(count);
    out.put_slice(&entries);
    Ok(())
}

pub(crate) fn decode_vector(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    for index in 0..reader.count()? {
        if index > 0 {
            out.push(' ');
        }
        write_lexeme(reader.terminated()?, out);
        for place in 0..reader.u16()? {
            let position = reader.u16()?;
            out.push(if place == 0 { ':' } else { ',' });
            _ = write!(out, "{}", position & POSITION);
            out.push_str(match position >> WEIGHT_SHIFT {
                3 => "A",
                2 => "B",
                1 => "C",
                _ => "",
            });
        }
    }
    Ok(())
}

fn read_positions(scan: &mut Scan<'_>) -> Result<Vec<u16>, Fault> {
    let mut positions = Vec::new();
    let mut more = scan.eats(":");
    while more {
        let position: u16 = scan.number()?;
        if position > POSITION {
            return Err(Fault::OutOfRange);
        }
        let weight = match scan.while_ascii(|byte| (b'A'..=b'D').contains(&byte)) {
            "A" => 3,
            "B" => 2,
            "C" => 1,
            "" | "D" => 0,
            _ => return Err(Fault::Text),
        };
        positions.push(weight << WEIGHT_SHIFT | position);
        more = scan.eats(",");
    }
    Ok(positions)
}

/// `WEP_GETPOS` and `WEP_GETWEIGHT` in `tsearch/ts_type.h`.
const POSITION: u16 = 0x3fff;
const WEIGHT_SHIFT: u32 = 14;
