//! Spans of time.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use super::{
    INFINITY, MINUS_INFINITY,
    clock::{read_time, write_time},
};
use crate::{error::Fault, reader::Reader, scan::Scan};

/// Microseconds, days and months, each with a sign of its own. Source: `interval_send` in
/// `timestamp.c`.
pub(crate) fn encode_interval(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let span = match text {
        INFINITY => Interval::INFINITY,
        MINUS_INFINITY => Interval::MINUS_INFINITY,
        _ => Interval::read(text)?,
    };
    out.put_i64(span.micros);
    out.put_i32(span.days);
    out.put_i32(span.months);
    Ok(())
}

/// Since PostgreSQL 17 the largest and the smallest are infinite.
pub(crate) fn decode_interval(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let span = Interval { micros: reader.i64()?, days: reader.i32()?, months: reader.i32()? };
    match span {
        Interval::INFINITY => out.push_str(INFINITY),
        Interval::MINUS_INFINITY => out.push_str(MINUS_INFINITY),
        _ => span.write(out),
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    micros: i64,
    days: i32,
    months: i32,
}

impl Interval {
    const INFINITY: Self = Self { micros: i64::MAX, days: i32::MAX, months: i32::MAX };
    const MINUS_INFINITY: Self = Self { micros: i64::MIN, days: i32::MIN, months: i32::MIN };

    /// Reads `1 year -2 mons +3 days 04:05:06.7`.
    fn read(text: &str) -> Result<Self, Fault> {
        let (mut months, mut days, mut micros) = (0_i64, 0_i64, 0_i128);
        let mut words = text.split(' ');
        while let Some(word) = words.next() {
            if word.contains(':') {
                micros = read_signed_time(word)?;
                continue;
            }
            let mut scan = Scan::new(word);
            let number = i64::from(scan.signed::<i32>()?);
            scan.finish()?;
            match words.next().ok_or(Fault::Text)? {
                "year" | "years" => months += 12 * number,
                "mon" | "mons" => months += number,
                "day" | "days" => days += number,
                _ => return Err(Fault::Text),
            }
        }
        Ok(Self {
            micros: i64::try_from(micros).map_err(|_| Fault::OutOfRange)?,
            days: i32::try_from(days).map_err(|_| Fault::OutOfRange)?,
            months: i32::try_from(months).map_err(|_| Fault::OutOfRange)?,
        })
    }

    /// Source: `EncodeInterval` and `AddPostgresIntPart` in `datetime.c`. A positive part has a sign
    /// if the part before it is negative.
    fn write(self, out: &mut String) {
        let start = out.len();
        let mut after_negative = false;
        let parts = [(self.months / 12, "year"), (self.months % 12, "mon"), (self.days, "day")];
        for (number, unit) in parts.into_iter().filter(|(number, _)| *number != 0) {
            let space = if out.len() == start { "" } else { " " };
            let sign = if after_negative && number > 0 { "+" } else { "" };
            let plural = if number == 1 { "" } else { "s" };
            _ = write!(out, "{space}{sign}{number} {unit}{plural}");
            after_negative = number < 0;
        }
        if out.len() > start && self.micros == 0 {
            return;
        }
        if out.len() > start {
            out.push(' ');
        }
        match self.micros {
            ..0 => out.push('-'),
            _ if after_negative => out.push('+'),
            _ => {}
        }
        write_time(self.micros, out);
    }
}

fn read_signed_time(word: &str) -> Result<i128, Fault> {
    let mut scan = Scan::new(word);
    let negative = scan.eats("-");
    if !negative {
        scan.eats("+");
    }
    let micros = read_time(&mut scan)?;
    scan.finish()?;
    Ok(if negative { -micros } else { micros })
}
