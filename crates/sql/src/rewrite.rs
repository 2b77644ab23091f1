//! A statement as the RDS Data API has to be given it.
//!
//! The service finds its placeholders, `:name`, by a scanner of its own. It knows `'…'`, `"…"`, comments
//! and `::`, and nothing else: what PostgreSQL reads as something else is written in another way here,
//! so that the two agree on where each string ends and no colon stands before a word.

use std::{collections::BTreeSet, error::Error, fmt, ops::Range};

use crate::{
    literal,
    position::PositionMap,
    statement::{Statement, makes_a_routine},
    token::{Token, TokenKind, continues_word},
};

mod lift;
mod spell;

/// `$n` in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterUse {
    /// Its number, from 1 in a right statement.
    pub number: u32,
    /// Its bytes in [`Statement::text`].
    pub span: Range<usize>,
}

/// What [`Statement::rewrite`] has to know.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The types of the parameters, as SQL: that of `$1` first. One that is empty or missing is not cast:
    /// the service declares it `text`.
    pub types: &'a [String],
    /// The types of the columns that `INSERT … VALUES` names, in its order: strings among the values may
    /// become parameters then.
    pub columns: &'a [String],
    /// The longest text, in characters.
    pub limit: usize,
}

/// A statement with the placeholders of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The text.
    pub sql: String,
    /// What its placeholders stand for, each name once.
    pub bindings: Vec<Binding>,
    /// Leads back to positions in the query string.
    pub map: PositionMap,
}

/// A placeholder and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Its name without the colon.
    pub name: String,
    /// What it stands for.
    pub value: Bound,
}

/// The value of a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// That of the parameter of this number.
    Parameter(u32),
    /// A string that was in the statement.
    Text(String),
}

/// The statement is longer than the service takes, and no string in it can be a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// How long, after rewriting.
    pub characters: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the statement has {} characters", self.characters)
    }
}

impl Error for TooLong {}

/// A change of the text. Insertions replace nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    span: Range<usize>,
    text: String,
}

impl Statement<'_> {
    /// Its parameters, in the order of the text. In the body of a function and behind `PREPARE`, `$n` is
    /// not of this statement.
    pub fn parameters(&self) -> Vec<ParameterUse> {
        let text = self.text();
        if makes_a_routine(self.tokens(), text)
            || self.words().next().is_some_and(|first| first.is("prepare", text))
        {
            return Vec::new();
        }
        let own = self.tokens().iter().filter(|token| token.kind == TokenKind::Parameter);
        own.filter_map(|token| {
            let number = token.text(text).get(1..)?.parse().ok()?;
            Some(ParameterUse { number, span: token.span.clone() })
        })
        .collect()
    }

    /// Writes it as the service has to be given it. What it means to PostgreSQL stays the same.
    ///
    /// # Errors
    ///
    /// [`TooLong`]: whose fault is the limit of the service.
    pub fn rewrite(&self, plan: &Plan<'_>) -> Result<Rewritten, TooLong> {
        let parameters = self.parameters();
        let mut edits = spell::edits(self);
        edits.extend(parameters.iter().map(|used| self.placeholder(used, plan)));
        let numbers: BTreeSet<u32> = parameters.iter().map(|used| used.number).collect();
        let mut bindings: Vec<Binding> = numbers
            .into_iter()
            .map(|number| Binding { name: format!("p{number}"), value: Bound::Parameter(number) })
            .collect();
        let length = length(self.text(), &edits);
        if length > plan.limit {
            bindings.extend(lift::lift(self, plan, length, &mut edits)?);
        }
        let (sql, map) = self.apply(edits);
        Ok(Rewritten { sql, bindings, map })
    }

    fn placeholder(&self, used: &ParameterUse, plan: &Plan<'_>) -> Edit {
        let index = usize::try_from(used.number).unwrap_or_default().checked_sub(1);
        let kind = index.and_then(|index| plan.types.get(index)).map_or("", String::as_str);
        let mut text = if kind.is_empty() {
            format!(":p{}", used.number)
        } else {
            format!("CAST(:p{} AS {kind})", used.number)
        };
        self.part_from(&used.span, &mut text);
        Edit { span: used.span.clone(), text }
    }

    /// Puts blanks around what replaces `span`, where it would become one with its neighbours.
    fn part_from(&self, span: &Range<usize>, text: &mut String) {
        let bytes = self.text().as_bytes();
        let before = span.start.checked_sub(1).and_then(|before| bytes.get(before));
        let glues = |byte: u8| continues_word(byte) || byte == b':';
        if before.is_some_and(|byte| glues(*byte)) && text.bytes().next().is_some_and(glues) {
            text.insert(0, ' ');
        }
        let after = bytes.get(span.end).is_some_and(|byte| continues_word(*byte));
        if after && text.bytes().last().is_some_and(continues_word) {
            text.push(' ');
        }
    }

    fn apply(&self, mut edits: Vec<Edit>) -> (String, PositionMap) {
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let mut sql = String::with_capacity(self.text().len());
        let mut map = PositionMap::new(self.characters_before());
        let (mut done, mut read, mut written) = (0, 0, 0);
        for edit in edits {
            let kept = self.text().get(done..edit.span.start).unwrap_or_default();
            let gone = self.text().get(edit.span.clone()).unwrap_or_default();
            sql.push_str(kept);
            sql.push_str(&edit.text);
            let same = kept.chars().count();
            let (source, target) = (read + same, written + same);
            read = source + gone.chars().count();
            written = target + edit.text.chars().count();
            map.replace(source..read, target..written);
            done = edit.span.end;
        }
        sql.push_str(self.text().get(done..).unwrap_or_default());
        (sql, map)
    }
}

/// In characters, with the edits done.
fn length(text: &str, edits: &[Edit]) -> usize {
    let gone = |edit: &Edit| text.get(edit.span.clone()).unwrap_or_default().chars().count();
    let added: usize = edits.iter().map(|edit| edit.text.chars().count()).sum();
    let removed: usize = edits.iter().map(gone).sum();
    (text.chars().count() + added).saturating_sub(removed)
}

/// The value of a token that is a string.
fn value(token: &Token, statement: &Statement<'_>) -> Option<String> {
    let TokenKind::String(quoting) = token.kind else { return None };
    literal::string(quoting, token.text(statement.text()), statement.backslashes())
}

#[cfg(test)]
mod tests;
