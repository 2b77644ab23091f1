//! A query with the columns that a change of rows returns, by which they can be described without changing any. Pure.

use pgferry_sql::{Statement, TokenKind};

/// `SELECT <what is returned> FROM <the table> WHERE false`, in the words of the statement.
///
/// None: it is not of the plain form `INSERT INTO`, `UPDATE` or `DELETE FROM` one table.
pub(crate) fn query(sql: &str, statement: &Statement<'_>) -> Option<String> {
    let words = Words::of(sql, statement);
    let (verb, with) = words.verb()?;
    let (table, list) = (words.table(verb)?, words.after("RETURNING")?);
    let others = match words.word(verb).as_str() {
        "UPDATE" => words.between("FROM", &["WHERE", "RETURNING"], verb),
        "DELETE" => words.between("USING", &["WHERE", "RETURNING"], verb),
        _ => None,
    };
    let others = others.map(|others| format!(", {others}")).unwrap_or_default();
    let with = with.unwrap_or_default();
    Some(format!("{with} SELECT {list} FROM {table}{others} WHERE false"))
}

/// The tokens outside of parentheses.
struct Words<'a> {
    sql: &'a str,
    /// Kind, text, and where it begins.
    tokens: Vec<(TokenKind, &'a str, usize)>,
}

impl<'a> Words<'a> {
    fn of(sql: &'a str, statement: &Statement<'_>) -> Self {
        let mut depth = 0_usize;
        let mut tokens = Vec::new();
        for token in statement.words() {
            match token.kind {
                TokenKind::Symbol('(') => depth += 1,
                TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
                kind if depth == 0 => tokens.push((kind, token.text(sql), token.span.start)),
                _ => {}
            }
        }
        Self { sql, tokens }
    }

    fn word(&self, index: usize) -> String {
        match self.tokens.get(index) {
            Some((TokenKind::Word, text, _)) => text.to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    fn position(&self, words: &[&str], from: usize) -> Option<usize> {
        (from..self.tokens.len()).find(|index| words.contains(&self.word(*index).as_str()))
    }

    fn start(&self, index: usize) -> usize {
        self.tokens.get(index).map_or(self.sql.len(), |(_, _, start)| *start)
    }

    /// The verb, and the `WITH` before it.
    fn verb(&self) -> Option<(usize, Option<&'a str>)> {
        let verb = self.position(&["INSERT", "UPDATE", "DELETE"], 0)?;
        match self.word(0).as_str() {
            "WITH" => Some((verb, self.sql.get(..self.start(verb)))),
            _ => (verb == 0).then_some((verb, None)),
        }
    }

    /// The table with its alias.
    fn table(&self, verb: usize) -> Option<&'a str> {
        let end: &[&str] = match self.word(verb).as_str() {
            "INSERT" => &["VALUES", "SELECT", "DEFAULT", "OVERRIDING", "WITH", "TABLE"],
            "UPDATE" => &["SET"],
            _ => &["USING", "WHERE", "RETURNING"],
        };
        let from = verb + 1 + usize::from(matches!(self.word(verb + 1).as_str(), "INTO" | "FROM"));
        let end = self.position(end, from)?;
        let text = self.sql.get(self.start(from)..self.start(end))?;
        // The columns of an INSERT stand in parentheses behind it, at least if the name is no string.
        let columns = text.find('(').unwrap_or(text.len());
        let plain = !text.contains('"') && !text.contains("--") && !text.contains("/*");
        if plain { text.get(..columns) } else { self.quoted_table(from, end) }
    }

    /// As above, token by token.
    fn quoted_table(&self, from: usize, end: usize) -> Option<&'a str> {
        let (_, last, start) = self.tokens.get(end.checked_sub(1)?)?;
        self.sql.get(self.start(from)..start + last.len())
    }

    fn after(&self, word: &str) -> Option<&'a str> {
        let at = (0..self.tokens.len()).rev().find(|index| self.word(*index) == word)?;
        self.sql.get(self.start(at) + word.len()..)
    }

    fn between(&self, word: &str, ends: &[&str], from: usize) -> Option<&'a str> {
        let at = self.position(&[word], from + 2)?;
        let end = self.position(ends, at)?;
        self.sql.get(self.start(at) + word.len()..self.start(end))
    }
}

#[cfg(test)]
mod tests {
    use pgferry_sql::{Backslashes, statements};

    fn query(sql: &str) -> Option<String> {
        let statement = &statements(sql, Backslashes::Literal)[0];
        super::query(sql, statement)
            .map(|query| query.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_columns_that_a_change_returns_can_be_selected() {
        for (sql, expected) in [
            (
                "INSERT INTO shop.t AS x (a, b) VALUES (1, 'returning') RETURNING x.id, *",
                "SELECT x.id, * FROM shop.t AS x WHERE false",
            ),
            (
                r#"INSERT INTO "public"."T" ("a") SELECT 1 RETURNING "public"."T"."id""#,
                r#"SELECT "public"."T"."id" FROM "public"."T" WHERE false"#,
            ),
            (
                "UPDATE t SET a = (SELECT 1) FROM u WHERE t.id = u.id RETURNING t.a + u.b AS c",
                "SELECT t.a + u.b AS c FROM t , u WHERE false",
            ),
            ("DELETE FROM t WHERE id = 1 RETURNING id", "SELECT id FROM t WHERE false"),
            (
                "WITH n AS (SELECT 1) INSERT INTO t SELECT * FROM n RETURNING id",
                "WITH n AS (SELECT 1) SELECT id FROM t WHERE false",
            ),
        ] {
            assert_eq!(query(sql).as_deref(), Some(expected), "{sql}");
        }
    }

    #[test]
    fn what_returns_nothing_or_is_no_change_has_none() {
        for sql in ["INSERT INTO t VALUES (1)", "SELECT 1", "MERGE INTO t USING u ON true"] {
            assert_eq!(query(sql), None, "{sql}");
        }
    }
}
