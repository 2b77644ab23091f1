//! Parameters, and what PostgreSQL is told they are.

use std::error::Error;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use serde_json::{Map, Value};
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::{
    decimal, moment,
    refusal::{bad_request, validation},
    request::not_a,
    unknowns::NullType,
};
use crate::aws::reply::Failure;

/// A parameter as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    value: Given,
    hint: Option<Hint>,
}

#[derive(Clone, Debug)]
enum Given {
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    String(String),
    Blob(Vec<u8>),
}

#[derive(Clone, Copy, Debug)]
enum Hint {
    Json,
    Uuid,
    Timestamp,
    Date,
    Time,
    Decimal,
}

/// A value in PostgreSQL's binary form, declared to be of this type. Nothing else is converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    declared: Type,
    /// None for NULL.
    bytes: Option<Vec<u8>>,
}

impl Parameter {
    pub(super) fn read(value: &Value) -> Result<Self, Failure> {
        let parameter = value.as_object().ok_or_else(|| not_a("structure"))?;
        let name = parameter.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| bad_request("A parameter has no name."))?.to_owned();
        let given = parameter.get("value").and_then(Value::as_object);
        let given =
            given.ok_or_else(|| bad_request(&format!("The parameter {name} has no value.")))?;
        let hint = match parameter.get("typeHint") {
            None | Some(Value::Null) => None,
            Some(hint) => Some(Hint::read(hint)?),
        };
        Ok(Self { value: Given::read(&name, given)?, name, hint })
    }

    pub(super) fn argument(&self, nulls: NullType) -> Result<Argument, Failure> {
        let (declared, bytes) = match (&self.value, self.hint) {
            (Given::Null, Some(hint)) if nulls == NullType::Hinted => (hint.declared(), None),
            (Given::Null, _) => (Type::TEXT, None),
            (Given::String(text), None) => (Type::TEXT, Some(text.clone().into_bytes())),
            (Given::String(text), Some(hint)) => {
                (hint.declared(), Some(hint.encode(text).ok_or_else(|| hint.refusal(text))?))
            }
            (_, Some(hint)) => {
                let message = format!("The type hint {hint:?} takes a string value.");
                return Err(validation(&message));
            }
            (Given::Bool(value), None) => (Type::BOOL, Some(vec![u8::from(*value)])),
            (Given::Long(value), None) => (Type::INT8, Some(value.to_be_bytes().to_vec())),
            (Given::Double(value), None) => (Type::FLOAT8, Some(value.to_be_bytes().to_vec())),
            (Given::Blob(value), None) => (Type::BYTEA, Some(value.clone())),
        };
        Ok(Argument { declared, bytes })
    }
}

impl Argument {
    /// The type it is declared to be.
    pub(super) fn declared(&self) -> Type {
        self.declared.clone()
    }
}

impl Given {
    /// A union: exactly one member.
    fn read(name: &str, members: &Map<String, Value>) -> Result<Self, Failure> {
        let mut present = members.iter().filter(|(_, value)| !value.is_null());
        let (Some((kind, value)), None) = (present.next(), present.next()) else {
            let message = format!("The value of the parameter {name} must have one member.");
            return Err(validation(&message));
        };
        match kind.as_str() {
            "isNull" if value.as_bool() == Some(true) => Ok(Self::Null),
            "isNull" => Err(validation(&format!("The parameter {name} has no value."))),
            "booleanValue" => value.as_bool().map(Self::Bool).ok_or_else(|| not_a("boolean")),
            "longValue" => value.as_i64().map(Self::Long).ok_or_else(|| not_a("long")),
            "doubleValue" => double(value).map(Self::Double).ok_or_else(|| not_a("double")),
            "stringValue" => {
                let text = value.as_str().map(str::to_owned);
                text.map(Self::String).ok_or_else(|| not_a("string"))
            }
            "blobValue" => {
                let bytes = value.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
                bytes.map(Self::Blob).ok_or_else(|| not_a("blob"))
            }
            "arrayValue" => Err(validation("Array parameters are not supported.")),
            other => Err(validation(&format!("{other} is no member of a field."))),
        }
    }
}

/// JSON has no words for the last three; AWS's protocols write them as strings.
fn double(value: &Value) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}

impl Hint {
    fn read(value: &Value) -> Result<Self, Failure> {
        match value.as_str() {
            Some("JSON") => Ok(Self::Json),
            Some("UUID") => Ok(Self::Uuid),
            Some("TIMESTAMP") => Ok(Self::Timestamp),
            Some("DATE") => Ok(Self::Date),
            Some("TIME") => Ok(Self::Time),
            Some("DECIMAL") => Ok(Self::Decimal),
            _ => Err(validation(&format!(
                "1 validation error detected: Value '{value}' at 'typeHint' failed to satisfy \
                 constraint: Member must satisfy enum value set: [JSON, UUID, TIMESTAMP, DATE, \
                 TIME, DECIMAL]"
            ))),
        }
    }

    fn declared(self) -> Type {
        match self {
            Self::Json => Type::JSONB,
            Self::Uuid => Type::UUID,
            Self::Timestamp => Type::TIMESTAMP,
            Self::Date => Type::DATE,
            Self::Time => Type::TIME,
            Self::Decimal => Type::NUMERIC,
        }
    }

    /// None where the text has not the one format that is taken.
    fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Json => {
                serde_json::from_str::<Value>(text).ok()?;
                // The version of the binary form.
                Some([&[1], text.as_bytes()].concat())
            }
            Self::Uuid => Some(uuid::Uuid::parse_str(text).ok()?.as_bytes().to_vec()),
            Self::Timestamp => Some(moment::timestamp(text)?.to_be_bytes().to_vec()),
            Self::Date => Some(moment::date(text)?.to_be_bytes().to_vec()),
            Self::Time => Some(moment::time(text)?.to_be_bytes().to_vec()),
            Self::Decimal => decimal::encode(text),
        }
    }

    fn refusal(self, text: &str) -> Failure {
        bad_request(&match self {
            Self::Timestamp | Self::Date | Self::Time => {
                format!("Cannot parse date or time \"{text}\"")
            }
            Self::Json => "The value isn't valid JSON.".to_owned(),
            Self::Uuid => format!("The value \"{text}\" isn't a UUID."),
            Self::Decimal => format!("The value \"{text}\" isn't a decimal number."),
        })
    }
}

impl ToSql for Argument {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(bytes) = &self.bytes else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(
        &self,
        declared: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(declared, out)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }
}
