//! The dates of signatures: basic ISO 8601, in UTC, to the second.

use time::{Date, Month, OffsetDateTime, Time};

/// `20150830T123600Z` for a Unix time in seconds.
pub fn timestamp(unix: u64) -> String {
    let at = moment(unix);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
}

/// `2015-08-30T12:36:00Z`, as XML and JSON carry dates.
pub(crate) fn extended(unix: u64) -> String {
    let at = moment(unix);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

/// The Unix time in seconds; none for anything but exactly `YYYYMMDDTHHMMSSZ`.
pub fn parse_timestamp(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if date.len() != 8 || time.len() != 6 || !digits(date) || !digits(time) {
        return None;
    }
    let part = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<u8>().ok();
    let month = Month::try_from(part(date, 4, 6)?).ok()?;
    let year = date.get(..4)?.parse().ok()?;
    let date = Date::from_calendar_date(year, month, part(date, 6, 8)?).ok()?;
    let time = Time::from_hms(part(time, 0, 2)?, part(time, 2, 4)?, part(time, 4, 6)?).ok()?;
    u64::try_from(date.with_time(time).assume_utc().unix_timestamp()).ok()
}

fn moment(unix: u64) -> OffsetDateTime {
    let seconds = i64::try_from(unix).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        assert_eq!(timestamp(1_440_938_160), "20150830T123600Z");
        assert_eq!(parse_timestamp("20150830T123600Z"), Some(1_440_938_160));
        assert_eq!(extended(1_440_938_160), "2015-08-30T12:36:00Z");
    }

    #[test]
    fn other_shapes_are_no_dates() {
        for text in ["", "20150830", "20150830T123600", "2015-08-30T12:36:00Z", "20151330T123600Z"]
        {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
