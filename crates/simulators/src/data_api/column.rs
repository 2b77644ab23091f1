//! What the service tells of a result's columns: JDBC's words, no OIDs.

use serde_json::{Value, json};
use tokio_postgres::{Client, Column, Error, Row};

/// The metadata of all columns, in order.
pub(super) async fn metadata(client: &Client, columns: &[Column]) -> Result<Vec<Value>, Error> {
    let types: Vec<_> = columns.iter().map(|it| it.type_().oid()).collect();
    let relations: Vec<_> = columns.iter().map(|it| it.table_oid().unwrap_or(0)).collect();
    let attributes: Vec<_> = columns.iter().map(|it| it.column_id().unwrap_or(0)).collect();
    let rows = client.query(CATALOG, &[&types, &relations, &attributes]).await?;
    columns.iter().zip(&rows).map(|(column, row)| described(column, row)).collect()
}

fn described(column: &Column, row: &Row) -> Result<Value, Error> {
    let own: String = row.try_get("typname")?;
    let kind: String = row.try_get("typtype")?;
    let counted = row.try_get("counted")?;
    let not_null: Option<bool> = row.try_get("attnotnull")?;
    let table: Option<String> = row.try_get("relname")?;
    let typmod = Some(column.type_modifier()).filter(|it| *it >= 4);
    let size = Size::of(&own, typmod);
    let type_name = match own.as_str() {
        "int2" if counted => "smallserial",
        "int4" if counted => "serial",
        "int8" if counted => "bigserial",
        other => other,
    };
    let number = matches!(jdbc(&own, &kind), 2 | 4 | 5 | -5 | 7 | 8);
    Ok(json!({
        "arrayBaseColumnType": 0,
        "isAutoIncrement": counted,
        "isCaseSensitive": !number && !matches!(jdbc(&own, &kind), -7 | 91..=93),
        "isCurrency": own == "money",
        "isSigned": number,
        "label": column.name(),
        "name": column.name(),
        // 0 for never, 1 for possibly, 2 for who knows.
        "nullable": not_null.map_or(2, |not_null| i32::from(!not_null)),
        "precision": size.precision,
        "scale": size.scale,
        "schemaName": "",
        "tableName": table.unwrap_or_default(),
        "type": jdbc(&own, &kind),
        "typeName": type_name,
    }))
}

struct Size {
    precision: i32,
    scale: i32,
}

impl Size {
    /// Source: `TypeInfoCache.getPrecision` and `getScale` of pgjdbc.
    fn of(name: &str, typmod: Option<i32>) -> Self {
        let modified = typmod.map(|it| it - 4);
        let (precision, scale) = match (name, modified) {
            ("numeric", Some(typmod)) => (typmod >> 16 & 0xffff, typmod & 0x7ff),
            ("varchar" | "bpchar", Some(length)) => (length, 0),
            ("numeric", None) => (0, 0),
            ("bool", _) => (1, 0),
            ("int2", _) => (5, 0),
            ("int4", _) => (10, 0),
            ("int8", _) => (19, 0),
            ("float4", _) => (8, 8),
            ("float8", _) => (17, 17),
            ("date", _) => (13, 0),
            ("time", _) => (15, 6),
            ("timestamp", _) => (29, 6),
            ("timestamptz", _) => (35, 6),
            _ => (i32::MAX, 0),
        };
        Self { precision, scale }
    }
}

/// Source: `java.sql.Types`, and pgjdbc's `TypeInfoCache` for which type is which.
fn jdbc(name: &str, kind: &str) -> i32 {
    match (name, kind) {
        (_, "e") => 12,
        (_, "c") => 2002,
        (array, _) if array.starts_with('_') => 2003,
        ("bool" | "bit", _) => -7,
        ("bytea", _) => -2,
        ("int2", _) => 5,
        ("int4", _) => 4,
        ("int8" | "oid", _) => -5,
        ("float4", _) => 7,
        ("float8" | "money", _) => 8,
        ("numeric", _) => 2,
        ("bpchar" | "char", _) => 1,
        ("text" | "varchar" | "name", _) => 12,
        ("date", _) => 91,
        ("time" | "timetz", _) => 92,
        ("timestamp" | "timestamptz", _) => 93,
        ("xml", _) => 2009,
        _ => 1111,
    }
}

const CATALOG: &str = "\
    SELECT t.typname::text, t.typtype::text, a.attnotnull, c.relname::text, \
        coalesce(a.attidentity OPERATOR(pg_catalog.<>) '' \
            OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) \
                OPERATOR(pg_catalog.~~) 'nextval(%', false) AS counted \
    FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::oid[]), \
        pg_catalog.unnest($3::int2[])) WITH ORDINALITY AS q (typ, rel, att, place) \
    JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) q.typ \
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) q.rel \
        AND a.attnum OPERATOR(pg_catalog.=) q.att \
    LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid \
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid \
        AND d.adnum OPERATOR(pg_catalog.=) a.attnum \
    ORDER BY q.place";
