//! What a result looks like: names and types of its columns.

use std::sync::Arc;

use pgferry_values::{Kind, Type, builtin};

use crate::api::Column;
use crate::wire::backend::ColumnDescription;
use crate::wire::frontend::Formats;

/// The columns of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<ColumnShape>,
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnShape {
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    pub(crate) type_size: i16,
    pub(crate) type_modifier: i32,
    /// How its values are written. None if that is not known: as text only.
    pub(crate) value_type: Option<Arc<Type>>,
    pub(crate) fidelity: Fidelity,
}

/// How well the service's own writing of a type gives its values back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fidelity {
    /// Not at all.
    Lost,
    /// All but unusual values, like the infinite and those before Christ.
    Usual,
    /// Always.
    Full,
}

impl Shape {
    /// As far as the service's metadata tell. None if a type is not one of those every server has.
    pub(crate) fn of(columns: &[Column]) -> Option<Self> {
        let columns = columns.iter().map(ColumnShape::of).collect::<Option<_>>()?;
        Some(Self { columns })
    }

    /// Whether the service's own writing gives every value of it back.
    pub(crate) fn is_plain(&self) -> bool {
        self.columns.iter().all(|column| column.fidelity == Fidelity::Full)
    }

    /// For the application, in the formats it wants.
    pub(crate) fn describe(&self, formats: &Formats) -> Vec<ColumnDescription> {
        let described = self.columns.iter().enumerate().map(|(index, column)| ColumnDescription {
            name: column.name.clone(),
            type_oid: column.type_oid,
            type_size: column.type_size,
            type_modifier: column.type_modifier,
            format: formats.of(index),
        });
        described.collect()
    }
}

impl ColumnShape {
    fn of(column: &Column) -> Option<Self> {
        let known = Native::by_name(&column.type_name)?;
        let value_type = builtin(known.oid).map(Arc::new);
        Some(Self {
            name: column.name.clone(),
            type_oid: known.oid,
            type_size: type_size(known.oid),
            type_modifier: type_modifier(known.oid, column),
            value_type,
            fidelity: known.fidelity,
        })
    }

    /// A column whose type the catalog described.
    pub(crate) fn described(
        name: String,
        type_oid: u32,
        value_type: Option<Type>,
        type_size: i16,
    ) -> Self {
        let native = Native::by_oid(type_oid);
        let fidelity = native.map_or(Fidelity::Lost, |native| native.fidelity);
        let value_type = value_type.map(Arc::new);
        Self { name, type_oid, type_size, type_modifier: -1, value_type, fidelity }
    }

    /// A column of text, as the utility commands return.
    pub(crate) fn text(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            type_oid: TEXT,
            type_size: -1,
            type_modifier: -1,
            value_type: builtin(TEXT).map(Arc::new),
            fidelity: Fidelity::Full,
        }
    }
}

/// A type whose values the service writes down.
///
/// Source: user guide of Aurora, "Data types supported by Data API"; OIDs from `pg_type.dat` in PostgreSQL.
#[derive(Clone, Copy, Debug)]
struct Native {
    name: &'static str,
    oid: u32,
    array: u32,
    fidelity: Fidelity,
}

impl Native {
    /// Types of serial columns go by another name, as in PostgreSQL's JDBC driver.
    fn by_name(name: &str) -> Option<Self> {
        let name = match name {
            "serial" => "int4",
            "bigserial" => "int8",
            "smallserial" => "int2",
            name => name,
        };
        match name.strip_prefix('_') {
            Some(element) => NATIVE.iter().find(|native| native.name == element)?.as_array(),
            None => NATIVE.iter().find(|native| native.name == name).copied(),
        }
    }

    fn by_oid(oid: u32) -> Option<Self> {
        let found = |native: &&Self| native.oid == oid || native.array == oid && oid != 0;
        let native = NATIVE.iter().find(found)?;
        if native.oid == oid { Some(*native) } else { native.as_array() }
    }

    /// Lower bounds get lost, and several dimensions are refused.
    fn as_array(self) -> Option<Self> {
        let fidelity = self.fidelity.min(Fidelity::Usual);
        (self.array != 0).then_some(Self { oid: self.array, fidelity, ..self })
    }
}

const fn native(name: &'static str, oid: u32, array: u32, fidelity: Fidelity) -> Native {
    Native { name, oid, array, fidelity }
}

const NATIVE: [Native; 22] = [
    native("bool", 16, 1000, Fidelity::Full),
    native("bytea", 17, 0, Fidelity::Full),
    native("name", 19, 1003, Fidelity::Full),
    native("int8", 20, 1016, Fidelity::Full),
    native("int2", 21, 1005, Fidelity::Full),
    native("int4", 23, 1007, Fidelity::Full),
    native("text", TEXT, 1009, Fidelity::Full),
    native("json", 114, 199, Fidelity::Full),
    native("float4", 700, 1021, Fidelity::Usual),
    native("float8", 701, 1022, Fidelity::Usual),
    native("bpchar", 1042, 1014, Fidelity::Full),
    native("varchar", 1043, 1015, Fidelity::Full),
    native("date", 1082, 1182, Fidelity::Usual),
    native("time", 1083, 1183, Fidelity::Usual),
    native("timestamp", 1114, 1115, Fidelity::Usual),
    native("timestamptz", 1184, 1185, Fidelity::Usual),
    native("numeric", 1700, 1231, Fidelity::Usual),
    native("uuid", 2950, 2951, Fidelity::Full),
    native("jsonb", 3802, 3807, Fidelity::Full),
    // Their text is a library's, not PostgreSQL's: it has a /32 where PostgreSQL writes none.
    native("inet", 869, 1041, Fidelity::Lost),
    native("cidr", 650, 651, Fidelity::Lost),
    native("oid", 26, 1028, Fidelity::Lost),
];

pub(crate) const TEXT: u32 = 25;

/// Source: `typlen` in PostgreSQL's `pg_type.dat`.
pub(crate) fn type_size(oid: u32) -> i16 {
    match oid {
        16 | 18 => 1,
        21 => 2,
        23 | 24 | 26 | 28 | 29 | 700 | 1082 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191 => 4,
        27 | 829 => 6,
        20 | 701 | 774 | 790 | 1083 | 1114 | 1184 | 3220 | 5069 => 8,
        1266 => 12,
        600 | 1186 | 2950 => 16,
        628 | 718 => 24,
        601 | 603 => 32,
        19 => 64,
        2275 => -2,
        _ => -1,
    }
}

/// Source: `numerictypmodin` in PostgreSQL's `numeric.c`, `anychar_typmodin` in `varchar.c`.
fn type_modifier(oid: u32, column: &Column) -> i32 {
    let length = column.precision;
    match oid {
        1700 if (1..=1000).contains(&length) && (0..=1000).contains(&column.scale) => {
            ((length << 16) | column.scale) + 4
        }
        1042 | 1043 if (1..=10_485_760).contains(&length) => length + 4,
        _ => -1,
    }
}

/// A type of a catalog's row: what the values of it are made of, as far as it is known here.
pub(crate) fn catalogued(oid: u32, name: &str, kind: &str, element: Option<Type>) -> Option<Type> {
    if let Some(known) = builtin(oid) {
        return Some(known);
    }
    let name = name.to_owned();
    match (kind, element) {
        ("e", _) => Some(Type { oid, name: name.into(), kind: Kind::Enum }),
        (_, Some(element)) => Some(Type::array(oid, name, element)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(type_name: &str, precision: i32, scale: i32) -> Column {
        Column { name: "c".to_owned(), type_name: type_name.to_owned(), precision, scale }
    }

    #[test]
    fn real_types_stand_behind_the_services_names() {
        let oid = |name| Shape::of(&[column(name, 0, 0)]).map(|shape| shape.columns[0].type_oid);
        assert_eq!(oid("int4"), Some(23));
        assert_eq!(oid("bigserial"), Some(20));
        assert_eq!(oid("_uuid"), Some(2951));
        assert_eq!(oid("mood"), None);
        assert_eq!(oid("_mood"), None);
    }

    #[test]
    fn precision_and_length_are_part_of_the_type() {
        let modifier = |column: Column| Shape::of(&[column]).unwrap().columns[0].type_modifier;
        assert_eq!(modifier(column("numeric", 10, 2)), 655_366);
        assert_eq!(modifier(column("varchar", 20, 0)), 24);
        assert_eq!(modifier(column("varchar", i32::MAX, 0)), -1);
        assert_eq!(modifier(column("int4", 10, 0)), -1);
    }

    #[test]
    fn arrays_are_never_fully_trusted() {
        let shape = Shape::of(&[column("_int4", 0, 0)]).unwrap();
        assert!(!shape.is_plain());
        assert!(Shape::of(&[column("int4", 0, 0)]).unwrap().is_plain());
    }
}
