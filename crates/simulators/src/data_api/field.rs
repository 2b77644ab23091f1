//! Values of results, from PostgreSQL's binary form.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio_postgres::types::{Kind as PostgresKind, Type};

use super::{
    decimal, moment,
    request::{AnswerOptions, Decimals, Longs},
    type_name::type_name,
    unknowns::Unknowns,
};

/// What the service can return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Float,
    Decimal,
    Text,
    Jsonb,
    Uuid,
    Network,
    Bytes,
    Date,
    Time,
    Timestamp,
    Array(Box<Self>),
}

/// Why a value cannot be returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwritable {
    /// An array of arrays.
    MultiDimensional,
    /// What the service's own decoder fails at.
    Broken,
}

impl Kind {
    /// None for a type that is not supported.
    pub(super) fn of(kind: &Type, unknowns: &Unknowns) -> Option<Self> {
        let name = &*type_name(kind);
        if unknowns.not_supported.iter().any(|other| other == name) {
            return None;
        }
        let also = unknowns.also_supported.iter().any(|other| other == name);
        match kind.kind() {
            PostgresKind::Enum(_) => Some(Self::Text),
            PostgresKind::Array(_) => {
                let listed = also || ARRAYS.contains(&name);
                let element = name.strip_suffix("[]").filter(|_| listed)?;
                Self::named(element).map(|kind| Self::Array(Box::new(kind)))
            }
            _ if also || SCALARS.contains(&name) => Self::named(name),
            _ => None,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "BOOL" => Self::Bool,
            "INT2" | "INT4" | "INT8" | "OID" => Self::Int,
            "FLOAT4" | "FLOAT8" => Self::Float,
            "NUMERIC" => Self::Decimal,
            "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "JSON" | "VOID" => Self::Text,
            "JSONB" => Self::Jsonb,
            "UUID" => Self::Uuid,
            "INET" | "CIDR" => Self::Network,
            "BYTEA" => Self::Bytes,
            "DATE" => Self::Date,
            "TIME" => Self::Time,
            "TIMESTAMP" | "TIMESTAMPTZ" => Self::Timestamp,
            _ => return None,
        })
    }

    /// The value as the API writes it.
    pub(super) fn field(
        &self,
        bytes: Option<&[u8]>,
        options: AnswerOptions,
    ) -> Result<Value, Unwritable> {
        let Some(bytes) = bytes else { return Ok(json!({"isNull": true})) };
        if let Self::Array(element) = self {
            return array(element, bytes);
        }
        let value = self.scalar(bytes).ok_or(Unwritable::Broken)?;
        Ok(match self {
            Self::Bool => json!({"booleanValue": value}),
            Self::Int if options.longs == Longs::String => {
                json!({"stringValue": value.to_string()})
            }
            Self::Int => json!({"longValue": value}),
            Self::Float => json!({"doubleValue": value}),
            Self::Bytes => json!({"blobValue": value}),
            Self::Decimal if options.decimals == Decimals::DoubleOrLong => {
                let text = value.as_str().unwrap_or_default();
                let long = text.parse::<i64>().map(|long| json!({"longValue": long}));
                long.unwrap_or_else(|_| json!({"doubleValue": text.parse::<f64>().unwrap_or(0.0)}))
            }
            _ => json!({"stringValue": value}),
        })
    }

    fn scalar(&self, bytes: &[u8]) -> Option<Value> {
        Some(match self {
            Self::Bool => json!(bytes == [1]),
            Self::Int => match *bytes {
                [a, b] => json!(i16::from_be_bytes([a, b])),
                [a, b, c, d] => json!(i32::from_be_bytes([a, b, c, d])),
                _ => json!(i64::from_be_bytes(bytes.try_into().ok()?)),
            },
            Self::Float => match *bytes {
                [a, b, c, d] => double(f64::from(f32::from_be_bytes([a, b, c, d]))),
                _ => double(f64::from_be_bytes(bytes.try_into().ok()?)),
            },
            Self::Decimal => json!(decimal::decode(bytes)?),
            Self::Text => json!(str::from_utf8(bytes).ok()?),
            // After the version of the binary form.
            Self::Jsonb => json!(str::from_utf8(bytes.get(1..)?).ok()?),
            Self::Uuid => json!(uuid::Uuid::from_slice(bytes).ok()?.to_string()),
            Self::Network => json!(network(bytes)?),
            Self::Bytes => json!(BASE64_STANDARD.encode(bytes)),
            Self::Date => json!(moment::date_text(i32::from_be_bytes(bytes.try_into().ok()?))?),
            Self::Time => json!(moment::time_text(i64::from_be_bytes(bytes.try_into().ok()?))?),
            Self::Timestamp => {
                json!(moment::timestamp_text(i64::from_be_bytes(bytes.try_into().ok()?))?)
            }
            Self::Array(_) => return None,
        })
    }

    fn array_member(&self) -> &'static str {
        match self {
            Self::Bool => "booleanValues",
            Self::Int => "longValues",
            Self::Float => "doubleValues",
            _ => "stringValues",
        }
    }
}

/// The octets that count towards the size of a result: those of the value as text.
pub(super) fn octets(field: &Value) -> usize {
    let members = field.as_object().into_iter().flatten();
    members
        .map(|(kind, value)| match (kind.as_str(), value) {
            ("isNull", _) => 0,
            ("booleanValue", _) => 1,
            ("blobValue", Value::String(text)) => 2 + text.len() / 4 * 3 * 2,
            ("arrayValue", Value::Object(lists)) => {
                let items = lists.values().filter_map(Value::as_array).flatten();
                2 + items.map(|item| 1 + length(item)).sum::<usize>()
            }
            (_, value) => length(value),
        })
        .sum()
}

fn length(value: &Value) -> usize {
    value.as_str().map_or_else(|| value.to_string().len(), str::len)
}

/// JSON has no words for what is not finite; AWS's protocols write them as strings.
fn double(value: f64) -> Value {
    match value {
        value if value.is_finite() => json!(value),
        value if value.is_nan() => json!("NaN"),
        value if value > 0.0 => json!("Infinity"),
        _ => json!("-Infinity"),
    }
}

/// Source: `network_send` in `src/backend/utils/adt/network.c` of PostgreSQL.
fn network(bytes: &[u8]) -> Option<String> {
    let [_, bits, cidr, _, address @ ..] = bytes else { return None };
    let (text, full) = match <[u8; 4]>::try_from(address) {
        Ok(address) => (Ipv4Addr::from(address).to_string(), 32),
        Err(_) => (Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_string(), 128),
    };
    Some(if *cidr == 0 && *bits == full { text } else { format!("{text}/{bits}") })
}

/// Source: `array_send` in `src/backend/utils/adt/arrayfuncs.c` of PostgreSQL.
fn array(element: &Kind, bytes: &[u8]) -> Result<Value, Unwritable> {
    let mut words = Words(bytes);
    let dimensions = words.next().ok_or(Unwritable::Broken)?;
    if dimensions > 1 {
        return Err(Unwritable::MultiDimensional);
    }
    // Flags, and the type of the elements.
    words.skip(2);
    let mut items = Vec::new();
    if dimensions == 1 {
        let count = words.next().ok_or(Unwritable::Broken)?;
        // The lower bound is lost.
        words.skip(1);
        for _ in 0..count {
            let length = words.next().ok_or(Unwritable::Broken)?;
            let Ok(length) = usize::try_from(length) else {
                items.push(Value::Null);
                continue;
            };
            let item = words.take(length).and_then(|bytes| element.scalar(bytes));
            items.push(item.ok_or(Unwritable::Broken)?);
        }
    }
    let mut lists = serde_json::Map::new();
    lists.insert(element.array_member().to_owned(), Value::Array(items));
    Ok(json!({"arrayValue": lists}))
}

struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<i32> {
        self.take(4).and_then(|word| Some(i32::from_be_bytes(word.try_into().ok()?)))
    }

    fn skip(&mut self, count: usize) {
        self.take(4 * count);
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Source: the Aurora user guide, "Data API data types".
const SCALARS: [&str; 21] = [
    "BOOL",
    "BYTEA",
    "CHAR",
    "CIDR",
    "DATE",
    "FLOAT4",
    "FLOAT8",
    "INET",
    "INT2",
    "INT4",
    "INT8",
    "JSON",
    "JSONB",
    "NAME",
    "NUMERIC",
    "TEXT",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "UUID",
    "VARCHAR",
];
const ARRAYS: [&str; 16] = [
    "BOOL[]",
    "CHAR[]",
    "DATE[]",
    "FLOAT4[]",
    "FLOAT8[]",
    "INT2[]",
    "INT4[]",
    "INT8[]",
    "JSON[]",
    "NAME[]",
    "NUMERIC[]",
    "TEXT[]",
    "TIME[]",
    "TIMESTAMP[]",
    "UUID[]",
    "VARCHAR[]",
];
