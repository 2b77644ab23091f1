//! Ranges and multiranges.

use bytes::{BufMut as _, BytesMut};

use crate::{
    error::{Fault, ValueError},
    kind::Type,
    reader::Reader,
    record::{push_quoted, read_quotable},
    scan::Scan,
};

/// Flags, then each bound that is finite with its length. Source: `range_send` in `rangetypes.c`.
pub(crate) fn encode(
    range: &Type,
    subtype: &Type,
    text: &str,
    out: &mut BytesMut,
) -> Result<(), ValueError> {
    let mut scan = Scan::new(text);
    encode_next(range, subtype, &mut scan, out)?;
    scan.finish().map_err(|fault| fault.of(&range.name))
}

pub(crate) fn decode(
    range: &Type,
    subtype: &Type,
    reader: &mut Reader<'_>,
    out: &mut String,
) -> Result<(), ValueError> {
    let named = |fault: Fault| fault.of(&range.name);
    let flags = reader.u8().map_err(named)?;
    if flags & EMPTY != 0 {
        out.push_str("empty");
        return Ok(());
    }
    out.push(if flags & LOWER_INCLUSIVE == 0 { '(' } else { '[' });
    for infinite in [LOWER_INFINITE, UPPER_INFINITE] {
        if infinite == UPPER_INFINITE {
            out.push(',');
        }
        if flags & infinite == 0 {
            let bound = reader.value().map_err(named)?;
            let bound = bound.ok_or_else(|| named(Fault::Binary("a bound is NULL")))?;
            push_quoted(&subtype.part_text(bound)?, BOUND_ENDS, out);
        }
    }
    out.push(if flags & UPPER_INCLUSIVE == 0 { ')' } else { ']' });
    Ok(())
}

/// Their number, and each range with its length. Source: `multirange_send` in `multirangetypes.c`.
pub(crate) fn encode_several(
    multirange: &Type,
    range: &Type,
    text: &str,
    out: &mut BytesMut,
) -> Result<(), ValueError> {
    let named = |fault: Fault| fault.of(&multirange.name);
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let mut scan = Scan::new(inner.ok_or_else(|| named(Fault::Text))?);
    let mut ranges = Vec::new();
    while !scan.rest().is_empty() {
        let start = scan.rest();
        skip_range(&mut scan).map_err(named)?;
        ranges.push(start.get(..start.len() - scan.rest().len()).unwrap_or_default());
        if !scan.rest().is_empty() {
            scan.expect(",").map_err(named)?;
        }
    }
    out.put_i32(i32::try_from(ranges.len()).map_err(|_| named(Fault::OutOfRange))?);
    ranges.into_iter().try_for_each(|text| range.encode_value(Some(text), out))
}

pub(crate) fn decode_several(
    multirange: &Type,
    range: &Type,
    reader: &mut Reader<'_>,
    out: &mut String,
) -> Result<(), ValueError> {
    let named = |fault: Fault| fault.of(&multirange.name);
    let count = reader.count().map_err(named)?;
    out.push('{');
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        let value = reader.value().map_err(named)?;
        let value = value.ok_or_else(|| named(Fault::Binary("a range is NULL")))?;
        out.push_str(&range.part_text(value)?);
        multirange.check_length(out)?;
    }
    out.push('}');
    Ok(())
}

fn encode_next(
    range: &Type,
    subtype: &Type,
    scan: &mut Scan<'_>,
    out: &mut BytesMut,
) -> Result<(), ValueError> {
    let named = |fault: Fault| fault.of(&range.name);
    if scan.eats("empty") {
        out.put_u8(EMPTY);
        return Ok(());
    }
    let parsed = Bounds::read(scan).map_err(named)?;
    out.put_u8(parsed.flags());
    for bound in [parsed.lower, parsed.upper].into_iter().flatten() {
        subtype.encode_value(Some(&bound), out)?;
    }
    Ok(())
}

fn skip_range(scan: &mut Scan<'_>) -> Result<(), Fault> {
    if scan.eats("empty") { Ok(()) } else { Bounds::read(scan).map(|_| ()) }
}

struct Bounds<'a> {
    lower_inclusive: bool,
    lower: Option<std::borrow::Cow<'a, str>>,
    upper: Option<std::borrow::Cow<'a, str>>,
    upper_inclusive: bool,
}

impl<'a> Bounds<'a> {
    fn read(scan: &mut Scan<'a>) -> Result<Self, Fault> {
        let lower_inclusive = scan.eats("[");
        if !lower_inclusive {
            scan.expect("(")?;
        }
        let lower = read_quotable(scan, BOUND_ENDS)?;
        scan.expect(",")?;
        let upper = read_quotable(scan, BOUND_ENDS)?;
        let upper_inclusive = scan.eats("]");
        if !upper_inclusive {
            scan.expect(")")?;
        }
        Ok(Self { lower_inclusive, lower, upper, upper_inclusive })
    }

    fn flags(&self) -> u8 {
        [
            (self.lower_inclusive, LOWER_INCLUSIVE),
            (self.upper_inclusive, UPPER_INCLUSIVE),
            (self.lower.is_none(), LOWER_INFINITE),
            (self.upper.is_none(), UPPER_INFINITE),
        ]
        .into_iter()
        .fold(0, |flags, (set, flag)| if set { flags | flag } else { flags })
    }
}

const BOUND_ENDS: &[u8] = b"()[],";
/// `RANGE_EMPTY` and its like in `rangetypes.h`.
const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;
