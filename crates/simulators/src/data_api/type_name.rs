//! Types in the words of the service, which are those of the library sqlx.

use tokio_postgres::types::{Kind, Type};

/// Those it knows are in capitals; others have the name that is in `pg_type`.
pub(super) fn type_name(of: &Type) -> String {
    match (of.kind(), of.name()) {
        // Vectors are arrays of a kind, but have names of their own.
        (Kind::Array(element), name) if name.starts_with('_') => type_name(element) + "[]",
        (_, "bpchar") => "CHAR".to_owned(),
        (_, "char") => "\"CHAR\"".to_owned(),
        (_, name) if KNOWN.contains(&name) => name.to_ascii_uppercase(),
        (_, name) => name.to_owned(),
    }
}

/// Source: `PgType` of sqlx-postgres 0.8.
const KNOWN: [&str; 45] = [
    "bool",
    "bytea",
    "name",
    "int8",
    "int2",
    "int4",
    "text",
    "oid",
    "json",
    "jsonb",
    "jsonpath",
    "point",
    "lseg",
    "path",
    "box",
    "polygon",
    "line",
    "circle",
    "cidr",
    "inet",
    "macaddr",
    "macaddr8",
    "float4",
    "float8",
    "unknown",
    "varchar",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "bit",
    "varbit",
    "numeric",
    "record",
    "uuid",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "money",
    "void",
];
