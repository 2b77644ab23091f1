//! Lengths of time, as users write them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A length of time, written as a number with a unit: `500ms`, `15s`, `5m`, `2h`.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Interval(pub Duration);

impl JsonSchema for Interval {
    fn schema_name() -> Cow<'static, str> {
        "Interval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h)$" })
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = || format!("{text:?} is not a time; write for example \"15s\" or \"5m\"");
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let millis = match unit.trim() {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        number.checked_mul(millis).map(|ms| Self(Duration::from_millis(ms))).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(text: &str) -> Option<Duration> {
        Interval::try_from(text.to_owned()).ok().map(|interval| interval.0)
    }

    #[test]
    fn an_interval_is_a_number_with_a_unit() {
        assert_eq!(interval("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(interval("15s"), Some(Duration::from_secs(15)));
        assert_eq!(interval("5 m"), Some(Duration::from_mins(5)));
        assert_eq!(interval("2h"), Some(Duration::from_hours(2)));
    }

    #[test]
    fn an_interval_without_number_or_unit_or_bound_is_refused() {
        for text in ["", "15", "s", "-1s", "1.5s", "15 parsecs", "18446744073709551615h", "١s"] {
            assert_eq!(interval(text), None, "{text:?}");
        }
    }
}
