//! The types that a database defines, out of its catalog.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    base::Base,
    builtin::builtin,
    kind::{Field, Kind, Type},
};

/// One row of what [`query`] asks for, column by column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// `pg_type.oid`.
    pub oid: u32,
    /// `pg_type.typname`.
    pub name: String,
    /// `pg_type.typtype`.
    pub kind: String,
    /// `pg_type.typdelim`.
    pub delimiter: String,
    /// The built-in function behind the type's send function; empty if there is none.
    pub send: String,
    /// What a domain, range, multirange or array is made of, or zero.
    pub part: u32,
    /// The names of a composite type's attributes.
    pub field_names: Vec<String>,
    /// Their types, one for each name.
    pub field_types: Vec<u32>,
}

/// A statement that returns these types and all they are made of, a [`Row`] each: the columns are
/// `int8`, `text` four times, `int8`, `text[]` and `int8[]`.
///
/// It has neither parameters nor colons, which some services take for one.
pub fn query(oids: &[u32]) -> String {
    let oids: Vec<String> = oids.iter().map(u32::to_string).collect();
    QUERY.replace("WANTED", &oids.join(","))
}

/// What the rows describe, by OID. A type is missing if one it is made of is, or if it is made of more
/// than anybody would: its values have no binary form here.
pub fn types(rows: &[Row]) -> BTreeMap<u32, Type> {
    let rows: BTreeMap<u32, &Row> = rows.iter().map(|row| (row.oid, row)).collect();
    let describe = |oid: &u32| {
        let mut description = Description { rows: &rows, depth: 0, parts: 0 };
        Some((*oid, description.of(*oid)?))
    };
    rows.keys().filter_map(describe).collect()
}

/// The description of one type, on its way through all it is made of.
struct Description<'a> {
    rows: &'a BTreeMap<u32, &'a Row>,
    depth: usize,
    parts: usize,
}

impl Description<'_> {
    fn of(&mut self, oid: u32) -> Option<Type> {
        if let Some(known) = builtin(oid) {
            return Some(known);
        }
        self.parts += 1;
        if self.depth == DEEPEST || self.parts > MOST_PARTS {
            return None;
        }
        let row = *self.rows.get(&oid)?;
        self.depth += 1;
        let kind = self.kind(row);
        self.depth -= 1;
        Some(Type { oid, name: row.name.clone().into(), kind: kind? })
    }

    fn kind(&mut self, row: &Row) -> Option<Kind> {
        Some(match row.kind.as_str() {
            "e" => Kind::Enum,
            "d" => Kind::Domain(self.part(row)?),
            "r" => Kind::Range(self.part(row)?),
            "m" => Kind::Multirange(self.part(row)?),
            "c" => Kind::Composite(self.fields(row)?),
            "b" if row.send == "array_send" => {
                Kind::Array { element: self.part(row)?, delimiter: self.delimiter(row.part)? }
            }
            "b" => Kind::Base(Base::of_send(&row.send)),
            _ => return None,
        })
    }

    fn part(&mut self, row: &Row) -> Option<Arc<Type>> {
        self.of(row.part).map(Arc::new)
    }

    fn fields(&mut self, row: &Row) -> Option<Vec<Field>> {
        let columns = row.field_names.iter().zip(&row.field_types);
        columns.map(|(name, oid)| Some(Field { name: name.clone(), ty: self.of(*oid)? })).collect()
    }

    /// A comma for all built-in types but one, whose array is built in, too.
    fn delimiter(&self, element: u32) -> Option<u8> {
        self.rows.get(&element).map_or(Some(b','), |row| row.delimiter.bytes().next())
    }
}

/// PostgreSQL lets no type be part of itself, and nobody nests them as deep as this. A catalog that
/// says otherwise is not believed.
const DEEPEST: usize = 32;
/// A type that has another twice, which has a third twice, and so on, would not end.
const MOST_PARTS: usize = 10_000;

/// Multiranges are no column of `pg_range` before PostgreSQL 14, so it is asked for by name.
const QUERY: &str = "WITH RECURSIVE wanted(oid) AS (
    SELECT unnest(CAST('{WANTED}' AS oid[]))
    UNION
    SELECT part.oid FROM wanted
    JOIN pg_catalog.pg_type t ON t.oid = wanted.oid
    CROSS JOIN LATERAL (
        SELECT t.typelem
        UNION ALL SELECT t.typbasetype
        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
        UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r
            WHERE CAST(to_jsonb(r) ->> 'rngmultitypid' AS oid) = t.oid
        UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ) AS part(oid)
    WHERE part.oid <> 0
)
SELECT CAST(t.oid AS int8), CAST(t.typname AS text), CAST(t.typtype AS text),
    CAST(t.typdelim AS text), coalesce(p.prosrc, ''),
    CAST(coalesce(nullif(t.typbasetype, 0), r.rngsubtype, m.rngtypid, t.typelem) AS int8),
    ARRAY(SELECT CAST(a.attname AS text) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
    ARRAY(SELECT CAST(a.atttypid AS int8) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM wanted
JOIN pg_catalog.pg_type t ON t.oid = wanted.oid
LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
LEFT JOIN pg_catalog.pg_range m ON CAST(to_jsonb(m) ->> 'rngmultitypid' AS oid) = t.oid
LEFT JOIN pg_catalog.pg_proc p ON p.oid = t.typsend
    AND p.prolang = (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname = 'internal')
ORDER BY t.oid";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_part_of_itself_is_not_believed() {
        let row = |oid, part| Row { oid, part, kind: "d".to_owned(), ..Row::default() };
        assert_eq!(types(&[row(20_000, 20_001), row(20_001, 20_000)]), BTreeMap::new());
    }

    #[test]
    fn a_type_that_doubles_at_each_level_is_not_followed_to_its_end() {
        let double = |oid| Row {
            oid,
            kind: "c".to_owned(),
            field_names: vec![String::new(); 2],
            field_types: vec![if oid == 20_030 { 23 } else { oid + 1 }; 2],
            ..Row::default()
        };
        let found = types(&(20_000..=20_030).map(double).collect::<Vec<_>>());
        assert!(found.contains_key(&20_030) && !found.contains_key(&20_000));
    }

    #[test]
    fn a_type_is_missing_with_what_it_is_made_of() {
        let row = |oid, part| Row { oid, part, kind: "d".to_owned(), ..Row::default() };
        let found = types(&[row(20_000, 20_001), row(20_002, 23)]);
        assert_eq!(found.keys().collect::<Vec<_>>(), [&20_002]);
    }
}
