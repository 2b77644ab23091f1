//! Statements around an application's statement: its rows as text, and its columns. Pure.
//!
//! `SELECT r::text FROM (…) AS r` prints a row of any types as one text, exactly as PostgreSQL prints each value;
//! the service has to write nothing but that text.

/// What may stand around a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wrap {
    /// It can be a subquery.
    Query,
    /// It changes rows and returns them: it can be a common table expression.
    Change,
    /// Nothing.
    None,
}

/// A statement inside another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrapped {
    pub(crate) sql: String,
    /// Characters before the statement itself, by which positions in errors are off.
    pub(crate) before: usize,
}

/// Its rows, each printed as one text. None if nothing may stand around it.
pub(crate) fn rows(sql: &str, wrap: Wrap) -> Option<Wrapped> {
    match wrap {
        Wrap::Query => {
            Some(around(&format!("SELECT {ROW}::text FROM ("), sql, &format!(") AS {ROW}")))
        }
        Wrap::Change => Some(around(
            &format!("WITH {ROW} AS ("),
            sql,
            &format!(") SELECT {ROW}::text FROM {ROW}"),
        )),
        Wrap::None => None,
    }
}

/// A query's columns without any row.
pub(crate) fn columns(sql: &str) -> Wrapped {
    around("SELECT * FROM (", sql, &format!(") AS {ROW} LIMIT 0"))
}

/// The names of its columns, one row for each. A change of rows is made for it.
pub(crate) fn names(sql: &str, wrap: Wrap) -> Option<Wrapped> {
    let head = format!(
        "SELECT n.key FROM (SELECT pg_catalog.row_to_json(_pgferry_k) AS names FROM \
         (SELECT {ROW}.* FROM (SELECT 1) AS _pgferry_one LEFT JOIN (SELECT * FROM "
    );
    let tail = format!(
        " LIMIT 0) AS {ROW} ON true) AS _pgferry_k) AS _pgferry_all, \
         pg_catalog.json_each(_pgferry_all.names) WITH ORDINALITY AS n(key, value, at) ORDER BY n.at"
    );
    match wrap {
        Wrap::Query => Some(around(&format!("{head}("), sql, &format!(") AS _pgferry_q{tail}"))),
        Wrap::Change => {
            Some(around("WITH _pgferry_q AS (", sql, &format!(") {head}_pgferry_q{tail}")))
        }
        Wrap::None => None,
    }
}

/// The types of so many columns, one row for each: number, OID, name, kind and size of the type, and of what it is
/// an array of. Domains count as what they are made of, as in a `RowDescription`.
pub(crate) fn types(sql: &str, wrap: Wrap, columns: usize) -> Option<Wrapped> {
    let listed =
        |each: &dyn Fn(usize) -> String| (1..=columns).map(each).collect::<Vec<_>>().join(", ");
    let oids = listed(&|index| format!("pg_catalog.pg_typeof(_pgferry_t.c{index})::oid"));
    let names = listed(&|index| format!("c{index}"));
    let head = format!(
        "{DESCRIBE} FROM (SELECT ARRAY[{oids}] AS oids FROM (SELECT 1) AS _pgferry_one \
         LEFT JOIN (SELECT * FROM "
    );
    let tail = format!(" LIMIT 0) AS _pgferry_t({names}) ON true) AS _pgferry_all, {DESCRIBED}");
    match wrap {
        Wrap::Query => Some(around(&format!("{head}("), sql, &format!(") AS {ROW}{tail}"))),
        Wrap::Change => {
            Some(around(&format!("WITH {ROW} AS ("), sql, &format!(") {head}{ROW}{tail}")))
        }
        Wrap::None => None,
    }
}

/// A comment at the statement's end must not swallow what follows.
fn around(head: &str, sql: &str, tail: &str) -> Wrapped {
    Wrapped { before: head.chars().count(), sql: format!("{head}{sql}\n{tail}") }
}

/// A name nobody gives to a column.
const ROW: &str = "_pgferry_row";

const DESCRIBE: &str = "SELECT n::int8, b.oid::int8, b.typname::text, b.typtype::text, b.typlen::int8, \
    coalesce(e.oid, 0)::int8, coalesce(e.typname, '')::text, coalesce(e.typtype, 'b')::text";

const DESCRIBED: &str = "unnest(_pgferry_all.oids) WITH ORDINALITY AS _pgferry_u(oid, n) \
    JOIN pg_catalog.pg_type AS t ON t.oid = _pgferry_u.oid \
    LEFT JOIN pg_catalog.pg_type AS d ON d.oid = t.typbasetype AND t.typtype = 'd' \
    LEFT JOIN pg_catalog.pg_type AS f ON f.oid = d.typbasetype AND d.typtype = 'd' \
    JOIN pg_catalog.pg_type AS b ON b.oid = coalesce(f.oid, d.oid, t.oid) \
    LEFT JOIN pg_catalog.pg_type AS e ON e.oid = b.typelem AND b.typlen = -1 ORDER BY n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_at_the_end_swallows_nothing() {
        let wrapped = rows("SELECT 1 -- one", Wrap::Query).unwrap();
        assert_eq!(
            wrapped.sql,
            "SELECT _pgferry_row::text FROM (SELECT 1 -- one\n) AS _pgferry_row"
        );
        assert_eq!(wrapped.sql.chars().nth(wrapped.before), Some('S'));
    }

    #[test]
    fn a_change_becomes_a_common_table_expression() {
        let wrapped = rows("DELETE FROM t RETURNING *", Wrap::Change).unwrap();
        assert_eq!(
            wrapped.sql,
            "WITH _pgferry_row AS (DELETE FROM t RETURNING *\n) SELECT _pgferry_row::text FROM _pgferry_row"
        );
    }

    #[test]
    fn types_are_asked_for_column_by_column() {
        let wrapped = types("SELECT 1, 2", Wrap::Query, 2).unwrap();
        assert!(wrapped.sql.contains(
            "ARRAY[pg_catalog.pg_typeof(_pgferry_t.c1)::oid, pg_catalog.pg_typeof(_pgferry_t.c2)::oid]"
        ), "{}", wrapped.sql);
        assert!(wrapped.sql.contains("AS _pgferry_t(c1, c2)"));
    }
}
