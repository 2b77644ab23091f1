//! Points in time.

use bytes::{BufMut as _, BytesMut};

use super::{
    INFINITY, MINUS_INFINITY,
    calendar::{Date, Era},
    clock::{DAY, SECOND, read_time_of_day, read_zone, write_time, write_zone},
};
use crate::{error::Fault, reader::Reader, scan::Scan};

/// Microseconds since midnight of the first of January 2000. Source: `timestamp_send` in
/// `timestamp.c`.
pub(crate) fn encode_timestamp(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_i64(read(text, Zone::Without)?);
    Ok(())
}

pub(crate) fn decode_timestamp(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write(reader.i64()?, Zone::Without, out)
}

/// As a `timestamp`, in UTC.
pub(crate) fn encode_timestamptz(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_i64(read(text, Zone::With)?);
    Ok(())
}

pub(crate) fn decode_timestamptz(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write(reader.i64()?, Zone::With, out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Zone {
    With,
    Without,
}

fn read(text: &str, zone: Zone) -> Result<i64, Fault> {
    match text {
        INFINITY => return Ok(i64::MAX),
        MINUS_INFINITY => return Ok(i64::MIN),
        _ => {}
    }
    let mut scan = Scan::new(text);
    let date = Date::read(&mut scan)?;
    scan.expect(" ")?;
    let time = read_time_of_day(&mut scan)?;
    let east = if zone == Zone::With { read_zone(&mut scan)? } else { None };
    let days = date.in_era(Era::read(&mut scan))?.days()?;
    scan.finish()?;
    let east = i64::from(east.unwrap_or_default()) * SECOND;
    let micros = days.checked_mul(DAY).and_then(|days| days.checked_add(time - east));
    micros.filter(|micros| RANGE.contains(micros)).ok_or(Fault::OutOfRange)
}

fn write(micros: i64, zone: Zone, out: &mut String) -> Result<(), Fault> {
    match micros {
        i64::MAX => out.push_str(INFINITY),
        i64::MIN => out.push_str(MINUS_INFINITY),
        _ if RANGE.contains(&micros) => {
            let date = Date::of_days(micros.div_euclid(DAY));
            date.write(out);
            out.push(' ');
            write_time(micros.rem_euclid(DAY), out);
            if zone == Zone::With {
                write_zone(0, out);
            }
            date.era().write(out);
        }
        _ => return Err(Fault::OutOfRange),
    }
    Ok(())
}

/// Source: `IS_VALID_TIMESTAMP` in `datatype/timestamp.h`.
const RANGE: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
