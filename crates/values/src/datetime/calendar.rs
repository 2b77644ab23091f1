//! Days.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use super::{INFINITY, MINUS_INFINITY};
use crate::{error::Fault, reader::Reader, scan::Scan};

/// Days since the first of January 2000. Source: `date_send` in `date.c`.
pub(crate) fn encode_date(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_i32(match text {
        INFINITY => i32::MAX,
        MINUS_INFINITY => i32::MIN,
        _ => {
            let mut scan = Scan::new(text);
            let date = Date::read(&mut scan)?.in_era(Era::read(&mut scan))?;
            scan.finish()?;
            let days = i32::try_from(date.days()?).map_err(|_| Fault::OutOfRange)?;
            if DAYS.contains(&days) { days } else { return Err(Fault::OutOfRange) }
        }
    });
    Ok(())
}

pub(crate) fn decode_date(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    match reader.i32()? {
        i32::MAX => out.push_str(INFINITY),
        i32::MIN => out.push_str(MINUS_INFINITY),
        days if DAYS.contains(&days) => {
            let date = Date::of_days(days.into());
            date.write(out);
            date.era().write(out);
        }
        _ => return Err(Fault::OutOfRange),
    }
    Ok(())
}

/// A day of the Gregorian calendar, which is continued before its invention. The year before the
/// first is the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    year: i64,
    month: i64,
    day: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    Christ,
    BeforeChrist,
}

impl Date {
    pub(super) fn read(scan: &mut Scan<'_>) -> Result<Self, Fault> {
        let year = scan.number()?;
        scan.expect("-")?;
        let month = scan.number()?;
        scan.expect("-")?;
        let day = scan.number()?;
        Ok(Self { year, month, day })
    }

    /// The same where years are counted back: the first year before Christ is the year 0.
    pub(super) fn in_era(self, era: Era) -> Result<Self, Fault> {
        if self.year == 0 {
            return Err(Fault::OutOfRange);
        }
        let year = if era == Era::BeforeChrist { 1 - self.year } else { self.year };
        Ok(Self { year, ..self })
    }

    /// Days since 2000-01-01.
    ///
    /// Years begin in March here, so that a leap day is the last of its year; 146,097 days are 400
    /// years.
    pub(super) fn days(self) -> Result<i64, Fault> {
        let known = (1..=12).contains(&self.month) && (1..=31).contains(&self.day);
        if !known || !YEARS.contains(&self.year) {
            return Err(Fault::OutOfRange);
        }
        let year = if self.month < 3 { self.year - 1 } else { self.year };
        let (cycle, of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        let days = cycle * 146_097 + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year;
        let days = days - MARCH_OF_YEAR_0;
        // A day the month does not have comes back as one of the next.
        if Self::of_days(days) == self { Ok(days) } else { Err(Fault::OutOfRange) }
    }

    pub(super) fn of_days(days: i64) -> Self {
        let days = days + MARCH_OF_YEAR_0;
        let (cycle, of_cycle) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let years = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
        let of_year = of_cycle - (365 * years + years / 4 - years / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = (from_march + 2) % 12 + 1;
        let year = cycle * 400 + years + i64::from(month < 3);
        Self { year, month, day }
    }

    pub(super) fn era(self) -> Era {
        if self.year > 0 { Era::Christ } else { Era::BeforeChrist }
    }

    /// Without its era, which comes after the time.
    pub(super) fn write(self, out: &mut String) {
        let year = if self.year > 0 { self.year } else { 1 - self.year };
        _ = write!(out, "{year:04}-{:02}-{:02}", self.month, self.day);
    }
}

impl Era {
    pub(super) fn read(scan: &mut Scan<'_>) -> Self {
        if scan.eats(" BC") { Self::BeforeChrist } else { Self::Christ }
    }

    pub(super) fn write(self, out: &mut String) {
        if self == Self::BeforeChrist {
            out.push_str(" BC");
        }
    }
}

/// From the first of March of the year 0 to that of January 2000.
const MARCH_OF_YEAR_0: i64 = 730_425;
/// What the calculation can do and no date of PostgreSQL exceeds.
const YEARS: std::ops::Range<i64> = -10_000..10_000_000;
/// From 4714-11-24 BC to 5874897-12-31. Source: `IS_VALID_DATE` in `datatype/timestamp.h`.
const DAYS: std::ops::Range<i32> = -2_451_545..(2_147_483_494 - 2_451_545);
