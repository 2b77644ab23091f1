//! Times of day, with and without a zone.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use crate::{error::Fault, reader::Reader, scan::Scan};

/// Microseconds since midnight. Source: `time_send` in `date.c`.
pub(crate) fn encode_time(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let mut scan = Scan::new(text);
    let time = read_time_of_day(&mut scan)?;
    scan.finish()?;
    out.put_i64(time);
    Ok(())
}

pub(crate) fn decode_time(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write_time(decode_time_of_day(reader)?, out);
    Ok(())
}

/// As a `time`, and the zone in seconds west of Greenwich. Source: `timetz_send` in `date.c`.
pub(crate) fn encode_timetz(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let mut scan = Scan::new(text);
    let time = read_time_of_day(&mut scan)?;
    let zone = read_zone(&mut scan)?.ok_or(Fault::Text)?;
    scan.finish()?;
    out.put_i64(time);
    out.put_i32(-zone);
    Ok(())
}

pub(crate) fn decode_timetz(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let time = decode_time_of_day(reader)?;
    let west = reader.i32()?;
    if !ZONES.contains(&west) {
        return Err(Fault::OutOfRange);
    }
    write_time(time, out);
    write_zone(-west, out);
    Ok(())
}

fn decode_time_of_day(reader: &mut Reader<'_>) -> Result<i64, Fault> {
    let time = reader.i64()?;
    if (0..=DAY).contains(&time) { Ok(time) } else { Err(Fault::OutOfRange) }
}

pub(super) fn read_time_of_day(scan: &mut Scan<'_>) -> Result<i64, Fault> {
    let time = i64::try_from(read_time(scan)?).map_err(|_| Fault::OutOfRange)?;
    if time <= DAY { Ok(time) } else { Err(Fault::OutOfRange) }
}

/// `04:05:06.789`, with any number of hours. Units: microseconds.
pub(super) fn read_time(scan: &mut Scan<'_>) -> Result<i128, Fault> {
    let hours: u64 = scan.number()?;
    scan.expect(":")?;
    let minutes: u64 = scan.number()?;
    scan.expect(":")?;
    let seconds: u64 = scan.number()?;
    if minutes > 59 || seconds > 59 {
        return Err(Fault::OutOfRange);
    }
    let fraction = if scan.eats(".") { scan.digits() } else { "" };
    if fraction.len() > 6 {
        return Err(Fault::Text);
    }
    let micros: i128 = format!("{fraction:0<6}").parse().map_err(|_| Fault::Text)?;
    let seconds = (i128::from(hours) * 60 + i128::from(minutes)) * 60 + i128::from(seconds);
    Ok(seconds * i128::from(SECOND) + micros)
}

pub(super) fn write_time(micros: i64, out: &mut String) {
    let micros = micros.unsigned_abs();
    let second = SECOND.unsigned_abs();
    let seconds = micros / second;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    _ = write!(out, "{hours:02}:{minutes:02}:{:02}", seconds % 60);
    if !micros.is_multiple_of(second) {
        _ = write!(out, ".{:06}", micros % second);
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// `+05:30`, in seconds east of Greenwich, or none if no sign comes next.
pub(super) fn read_zone(scan: &mut Scan<'_>) -> Result<Option<i32>, Fault> {
    let negative = scan.eats("-");
    if !negative && !scan.eats("+") {
        return Ok(None);
    }
    let mut zone = 3600 * scan.number::<u8>().map(i32::from)?;
    for unit in [60, 1] {
        if scan.eats(":") {
            let part: u8 = scan.number()?;
            if part > 59 {
                return Err(Fault::OutOfRange);
            }
            zone += unit * i32::from(part);
        }
    }
    let zone = if negative { -zone } else { zone };
    if ZONES.contains(&zone) { Ok(Some(zone)) } else { Err(Fault::OutOfRange) }
}

/// Source: `EncodeTimezone` in `datetime.c`.
pub(super) fn write_zone(east: i32, out: &mut String) {
    let sign = if east < 0 { '-' } else { '+' };
    let seconds = east.unsigned_abs();
    _ = write!(out, "{sign}{:02}", seconds / 3600);
    if !seconds.is_multiple_of(3600) {
        _ = write!(out, ":{:02}", seconds / 60 % 60);
    }
    if !seconds.is_multiple_of(60) {
        _ = write!(out, ":{:02}", seconds % 60);
    }
}

/// Units: microseconds.
pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;
/// Units: seconds. Source: `TZDISP_LIMIT` in `datatype/timestamp.h`.
const ZONES: std::ops::Range<i32> = -57_599..57_600;
