//! Dates and times: PostgreSQL's binary form, and the only texts the service reads and writes.
//!
//! Source of the binary form: `src/backend/utils/adt/{date,timestamp}.c` of PostgreSQL. Days and
//! microseconds count from 2000-01-01.

/// `YYYY-MM-DD` as days.
pub(super) fn date(text: &str) -> Option<i32> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2)?;
    let day = digits(parts.next()?, 2)?;
    let real = parts.next().is_none()
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day);
    i32::try_from(days_before(year, month, day)).ok().filter(|_| real)
}

/// `HH:MM:SS[.FFF]` as microseconds.
pub(super) fn time(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = whole.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = digits(parts.next()?, 2)?;
    let second = digits(parts.next()?, 2)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || fraction.len() > 6 {
        return None;
    }
    let micros = digits(&format!("{fraction:0<6}"), 6)?;
    Some(((hour * 60 + minute) * 60 + second) * SECOND + micros)
}

/// `YYYY-MM-DD HH:MM:SS[.FFF]` as microseconds; no `T`, no zone.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once(' ')?;
    Some(i64::from(date(day)?) * DAY + time(clock)?)
}

/// None for the infinities.
pub(super) fn date_text(days: i32) -> Option<String> {
    let infinite = matches!(days, i32::MIN | i32::MAX);
    (!infinite).then(|| day_text(i64::from(days)))
}

/// None for 24:00:00, which is no time of a day elsewhere.
pub(super) fn time_text(micros: i64) -> Option<String> {
    let (seconds, fraction) = (micros / SECOND, micros % SECOND);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = match fraction {
        0 => String::new(),
        millis if millis % 1000 == 0 => format!(".{:03}", millis / 1000),
        micros => format!(".{micros:06}"),
    };
    (micros < DAY).then(|| clock + &fraction)
}

/// None for the infinities. One with a zone is in UTC, and does not say so.
pub(super) fn timestamp_text(micros: i64) -> Option<String> {
    if matches!(micros, i64::MIN | i64::MAX) {
        return None;
    }
    let clock = time_text(micros.rem_euclid(DAY))?;
    Some(format!("{} {clock}", day_text(micros.div_euclid(DAY))))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let fits = text.len() == count && text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|_| fits)
}

fn days_in(year: i64, month: i64) -> i64 {
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_before(next.0, next.1, 1) - days_before(year, month, 1)
}

/// Days from 2000-01-01; years begin in March here, so that a leap day is the last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + (153 * month + 2) / 5 + day - 1 - EPOCH
}

fn day_text(days: i64) -> String {
    let since = days + EPOCH;
    let era = since.div_euclid(ERA);
    let day = since.rem_euclid(ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    match year + era * 400 {
        year @ 0..=9999 => format!("{year:04}-{month:02}-{of_month:02}"),
        year => format!("{year:+05}-{month:02}-{of_month:02}"),
    }
}

/// Microseconds.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Days of 400 years.
const ERA: i64 = 146_097;
/// Days from 0000-03-01 to 2000-01-01.
const EPOCH: i64 = 730_425;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_the_year_2000() {
        for (text, days) in [
            ("2000-01-01", 0),
            ("1999-12-31", -1),
            ("2000-02-29", 59),
            ("2024-02-29", 8825),
            ("1970-01-01", -10_957),
            ("0001-01-01", -730_119),
            ("9999-12-31", 2_921_939),
        ] {
            assert_eq!((text, date(text)), (text, Some(days)));
            assert_eq!(date_text(days).as_deref(), Some(text));
        }
        assert_eq!(date_text(i32::MAX), None);
        assert_eq!(date_text(-730_120 - 365).as_deref(), Some("0000-01-01"));
    }

    #[test]
    fn fractions_have_three_or_six_digits_or_none() {
        for (text, expected) in [
            ("2024-01-02 03:04:05", "2024-01-02 03:04:05"),
            ("2024-01-02 03:04:05.5", "2024-01-02 03:04:05.500"),
            ("1999-01-02 23:04:05.123456", "1999-01-02 23:04:05.123456"),
        ] {
            let micros = timestamp(text).unwrap();
            assert_eq!(timestamp_text(micros).as_deref(), Some(expected));
        }
        assert_eq!(timestamp_text(i64::MIN), None);
        assert_eq!(time_text(DAY), None);
    }

    #[test]
    fn other_formats_are_refused() {
        for text in
            ["2024-01-02T03:04:05", "2024-01-02 03:04:05Z", "2024-01-02", "2023-02-29 00:00:00"]
        {
            assert_eq!(timestamp(text), None, "{text}");
        }
        assert_eq!(date("24-01-02"), None);
        assert_eq!(time("03:04"), None);
        assert_eq!(time("24:00:00"), None);
    }
}
