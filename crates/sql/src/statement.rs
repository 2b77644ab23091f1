//! A query string, cut into its statements.

use std::ops::Range;

use crate::{
    class::{Class, Effect},
    classify::classify,
    effect::effect,
    token::{Backslashes, Token, TokenKind, tokens},
};

/// One statement of a query string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'a> {
    text: &'a str,
    start: usize,
    /// Characters of the query string before it.
    before: usize,
    tokens: Vec<Token>,
    backslashes: Backslashes,
}

/// Cuts a query string at its semicolons, and leaves out what is empty: no statement at all is what
/// PostgreSQL answers with `EmptyQueryResponse`.
///
/// A semicolon ends a statement unless it is in parentheses (as in `CREATE RULE … DO (…; …)`) or in the
/// body of a function (`BEGIN ATOMIC … END`). Which of several statements is wrong shows only when it is
/// run: PostgreSQL reads all of them before it runs the first.
///
/// Source: `src/fe_utils/psqlscan.l`, which cuts the same way.
pub fn statements(sql: &str, backslashes: Backslashes) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    let (mut own, mut nesting) = (Vec::new(), Nesting::default());
    for token in tokens(sql, backslashes) {
        if token.kind == TokenKind::Symbol(';') && !nesting.is_open() {
            found.extend(Statement::of(sql, own, backslashes));
            (own, nesting) = (Vec::new(), Nesting::default());
        } else {
            nesting.follow(&token, sql, &own);
            own.push(token);
        }
    }
    found.extend(Statement::of(sql, own, backslashes));
    count_characters(sql, &mut found);
    found
}

/// Says of each statement how many characters are before it.
fn count_characters(sql: &str, statements: &mut [Statement<'_>]) {
    let (mut byte, mut characters) = (0, 0);
    for statement in statements {
        characters += sql.get(byte..statement.start).unwrap_or_default().chars().count();
        byte = statement.start;
        statement.before = characters;
    }
}

impl<'a> Statement<'a> {
    /// None if there are only comments. `tokens` count from the beginning of `sql`.
    fn of(sql: &'a str, mut tokens: Vec<Token>, backslashes: Backslashes) -> Option<Self> {
        if tokens.iter().all(Token::is_comment) {
            return None;
        }
        let start = tokens.first()?.span.start;
        let end = tokens.last()?.span.end;
        for token in &mut tokens {
            token.span = token.span.start - start..token.span.end - start;
        }
        Some(Self { text: sql.get(start..end)?, start, before: 0, tokens, backslashes })
    }

    /// Its text without the semicolon, and with the comments before, in and behind it: they may be
    /// hints for a planner, and say who asks.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Its bytes in the query string. Positions in messages of PostgreSQL count from the beginning of
    /// that.
    pub fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// How many characters of the query string are before it: what positions of PostgreSQL count.
    pub fn characters_before(&self) -> usize {
        self.before
    }

    /// Its tokens, comments among them. Their spans count from the beginning of [`Self::text`].
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// How its strings are read.
    pub fn backslashes(&self) -> Backslashes {
        self.backslashes
    }

    /// A part of it as a statement of its own, like the query of an `EXPLAIN`. None if the part is empty.
    pub fn part(&self, span: Range<usize>) -> Option<Self> {
        let inside = |token: &&Token| span.start <= token.span.start && token.span.end <= span.end;
        let tokens = self.tokens.iter().filter(inside).cloned().collect();
        let part = Self::of(self.text, tokens, self.backslashes)?;
        let before = self.text.get(..part.start)?.chars().count();
        Some(Self { start: self.start + part.start, before: self.before + before, ..part })
    }

    /// What it does.
    pub fn classify(&self) -> Class {
        classify(self)
    }

    /// What running it twice would do, as far as its words say.
    pub fn effect(&self) -> Effect {
        effect(self, &self.classify())
    }

    /// The tokens that the grammar sees.
    pub fn words(&self) -> impl DoubleEndedIterator<Item = &Token> {
        self.tokens.iter().filter(|token| !token.is_comment())
    }
}

/// What a semicolon may be inside of.
#[derive(Debug, Default)]
struct Nesting {
    parentheses: usize,
    /// `BEGIN ATOMIC`, and the `CASE`s in it.
    blocks: usize,
}

impl Nesting {
    fn is_open(&self) -> bool {
        self.parentheses > 0 || self.blocks > 0
    }

    /// `before` is what the statement has so far.
    fn follow(&mut self, token: &Token, sql: &str, before: &[Token]) {
        let mut back = before.iter().rev().filter(|token| !token.is_comment());
        let last = back.next();
        match token.kind {
            TokenKind::Symbol('(') => self.parentheses += 1,
            TokenKind::Symbol(')') => self.parentheses = self.parentheses.saturating_sub(1),
            TokenKind::Word if self.parentheses == 0 => {
                let named = last
                    .is_some_and(|last| last.kind == TokenKind::Symbol('.') || last.is("as", sql));
                if self.blocks == 0 {
                    let atomic = token.is("atomic", sql);
                    let begun = atomic && last.is_some_and(|last| last.is("begin", sql));
                    self.blocks = usize::from(begun && makes_a_routine(before, sql));
                } else if !named && token.is("case", sql) {
                    self.blocks += 1;
                } else if !named && token.is("end", sql) {
                    self.blocks -= 1;
                }
            }
            _ => {}
        }
    }
}

/// Whether a statement begins with `CREATE [OR REPLACE] FUNCTION` or `PROCEDURE`.
pub(crate) fn makes_a_routine(tokens: &[Token], sql: &str) -> bool {
    let mut words = tokens.iter().filter(|token| !token.is_comment());
    let mut next = || words.next().map(|token| token.text(sql).to_ascii_lowercase());
    if next().as_deref() != Some("create") {
        return false;
    }
    let mut what = next();
    if what.as_deref() == Some("or") && next().as_deref() == Some("replace") {
        what = next();
    }
    matches!(what.as_deref(), Some("function" | "procedure"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        statements(sql, Backslashes::Literal).iter().map(Statement::text).collect()
    }

    #[test]
    fn a_query_string_is_cut_at_its_semicolons() {
        assert_eq!(
            texts("select ';'; ;/* ; */insert into t values ($$;$$) -- ;\n;\n"),
            ["select ';'", "/* ; */insert into t values ($$;$$) -- ;"]
        );
        assert_eq!(texts("select 1"), ["select 1"]);
    }

    #[test]
    fn a_string_of_nothing_has_no_statement() {
        for sql in ["", " ;; ", "-- only words", "/* a */;/* b */"] {
            assert!(texts(sql).is_empty(), "{sql}");
        }
    }

    #[test]
    fn parentheses_keep_a_rule_together() {
        let rule = "create rule r as on insert to t do also (delete from a; delete from b)";
        assert_eq!(texts(&format!("{rule}; select 1")), [rule, "select 1"]);
    }

    #[test]
    fn a_body_of_statements_stays_with_its_function() {
        for body in [
            "select 1; select 2;",
            "select case when true then 1 end; select case x when 1 then 2 end;",
            "select (case when true then 1 end) as end, t.end, 1 as case from t;",
            "",
        ] {
            let function = format!(
                "create or replace /**/ function f(begin int) returns int begin atomic {body} end"
            );
            assert_eq!(texts(&format!("{function}; select 3")), [function.as_str(), "select 3"]);
        }
        assert_eq!(texts("begin; select 1; end"), ["begin", "select 1", "end"]);
        assert_eq!(texts("select begin atomic; select 1").len(), 2);
    }

    #[test]
    fn a_statement_knows_its_place_and_its_parts() {
        let sql = " select 1; explain /* why */ select é, $1";
        let found = statements(sql, Backslashes::Literal);
        assert_eq!(found.len(), 2);
        assert_eq!(&sql[found[1].span()], found[1].text());
        let part = found[1].part(8..found[1].text().len()).unwrap();
        assert_eq!(part.text(), "/* why */ select é, $1");
        assert_eq!(&sql[part.span()], part.text());
        let words: Vec<_> = part.words().map(|token| token.text(part.text())).collect();
        assert_eq!(words, ["select", "é", ",", "$1"]);
        assert!(found[1].part(7..8).is_none());
    }
}
