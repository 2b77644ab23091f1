//! The service's own writing of values, turned into PostgreSQL's: pure.

use std::borrow::Cow;

use pgferry_values::{array, float, write_hex};

use crate::api::Field;

/// The text PostgreSQL would have printed for a value; none for NULL.
///
/// Errors: it cannot be told from this writing.
pub(crate) fn text(field: Field, type_oid: u32) -> Result<Option<String>, Untold> {
    match field {
        Field::Null => Ok(None),
        field => value(field, type_oid).map(Some).ok_or(Untold),
    }
}

/// The service's writing does not tell which value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Untold;

fn value(field: Field, type_oid: u32) -> Option<String> {
    Some(match (field, type_oid) {
        (Field::Bool(value), BOOL) => if value { "t" } else { "f" }.to_owned(),
        (Field::Long(value), INT2 | INT4 | INT8) => value.to_string(),
        (Field::Double(value), FLOAT8) => float8(value),
        (Field::Double(value), FLOAT4) => float4(value),
        (Field::Bytes(bytes), BYTEA) => hex(&bytes),
        (Field::Text(text), DATE) => is_date(&text).then_some(text)?,
        (Field::Text(text), TIME) => time(&text)?.into_owned(),
        (Field::Text(text), TIMESTAMP) => timestamp(&text)?,
        // Always UTC, which it does not say.
        (Field::Text(text), TIMESTAMPTZ) => timestamp(&text)? + "+00",
        (Field::Text(text), NUMERIC) => is_numeric(&text).then_some(text)?,
        (Field::Text(text), oid) if IS_TEXT.contains(&oid) => text,
        (Field::Array(items), oid) => array_text(items, element(oid)?)?,
        _ => return None,
    })
}

fn array_text(items: Vec<Field>, element: u32) -> Option<String> {
    let items = items.into_iter().map(|item| text(item, element)).collect::<Result<Vec<_>, _>>();
    Some(array::literal(items.ok()?.iter().map(Option::as_deref), b','))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    write_hex(bytes, &mut text);
    text
}

fn float8(value: f64) -> String {
    let mut text = String::new();
    float::write8(value, &mut text);
    text
}

/// It was widened on its way.
#[expect(clippy::cast_possible_truncation, reason = "it was a float4 in the database")]
fn float4(value: f64) -> String {
    let mut text = String::new();
    float::write4(value as f32, &mut text);
    text
}

/// `YYYY-MM-DD`: other forms are of years that PostgreSQL writes in another way.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut digits = |count: usize| {
        let part = parts.next();
        part.is_some_and(|part| part.len() == count && part.bytes().all(|b| b.is_ascii_digit()))
    };
    digits(4) && digits(2) && digits(2) && parts.next().is_none()
}

/// The service writes none, three or six digits of a fraction; PostgreSQL no zero at its end.
fn time(text: &str) -> Option<Cow<'_, str>> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && fraction.len() <= 6;
    if seconds.split(':').count() != 3 || !seconds.split(':').all(plain) || !digits {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    Some(if fraction.is_empty() { seconds.into() } else { format!("{seconds}.{fraction}").into() })
}

fn timestamp(text: &str) -> Option<String> {
    let (date, rest) = text.split_once(' ')?;
    is_date(date).then_some(())?;
    Some(format!("{date} {}", time(rest)?))
}

fn is_numeric(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all(whole) && all(fraction)
}

/// Source: `typelem` in PostgreSQL's `pg_type.dat`.
fn element(array: u32) -> Option<u32> {
    let known = [
        (1000, BOOL),
        (1003, 19),
        (1005, INT2),
        (1007, INT4),
        (1009, 25),
        (1014, 1042),
        (1015, 1043),
        (1016, INT8),
        (1021, FLOAT4),
        (1022, FLOAT8),
        (1115, TIMESTAMP),
        (1182, DATE),
        (1183, TIME),
        (1185, TIMESTAMPTZ),
        (1231, NUMERIC),
        (2951, 2950),
        (199, 114),
        (3807, 3802),
    ];
    known.iter().find(|(oid, _)| *oid == array).map(|(_, element)| *element)
}

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const DATE: u32 = 1082;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const NUMERIC: u32 = 1700;
/// name, text, json, bpchar, varchar, uuid, jsonb.
const IS_TEXT: [u32; 7] = [19, 25, 114, 1042, 1043, 2950, 3802];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(field: Field, oid: u32) -> String {
        text(field, oid).unwrap().unwrap()
    }

    fn string(text: &str) -> Field {
        Field::Text(text.to_owned())
    }

    #[test]
    fn values_are_written_as_postgresql_prints_them() {
        assert_eq!(of(Field::Bool(true), BOOL), "t");
        assert_eq!(of(Field::Long(i64::MIN), INT8), "-9223372036854775808");
        assert_eq!(of(Field::Double(1e20), FLOAT8), "1e+20");
        assert_eq!(of(Field::Double(f64::from(0.1_f32)), FLOAT4), "0.1");
        assert_eq!(of(Field::Bytes(vec![0, 255]), BYTEA), "\\x00ff");
        assert_eq!(text(Field::Null, INT4), Ok(None));
    }

    #[test]
    fn times_lose_the_zeros_that_the_service_adds() {
        assert_eq!(of(string("2024-02-29 12:00:00.500"), TIMESTAMP), "2024-02-29 12:00:00.5");
        assert_eq!(of(string("2024-02-29 12:00:00"), TIMESTAMPTZ), "2024-02-29 12:00:00+00");
        assert_eq!(of(string("12:00:00.000001"), TIME), "12:00:00.000001");
    }

    #[test]
    fn unusual_values_are_left_to_the_exact_way() {
        for (value, oid) in [
            ("-0043-03-15", DATE),
            ("+10000-01-01", DATE),
            ("infinity", TIMESTAMP),
            ("2024-02-29T12:00:00", TIMESTAMP),
            ("NaN", NUMERIC),
            ("1E+5", NUMERIC),
        ] {
            assert_eq!(text(string(value), oid), Err(Untold), "{value}");
        }
        assert_eq!(text(Field::Unknown, INT4), Err(Untold));
        assert_eq!(text(string("1"), INT4), Err(Untold));
    }

    #[test]
    fn arrays_are_quoted_as_postgresql_quotes_them() {
        let items = vec![string("a b"), Field::Null, string("null"), string("x")];
        assert_eq!(of(Field::Array(items), 1009), r#"{"a b",NULL,"null",x}"#);
        assert_eq!(of(Field::Array(vec![Field::Long(1), Field::Null]), 1007), "{1,NULL}");
    }
}
