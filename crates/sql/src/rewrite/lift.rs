//! Strings that become parameters, so that a long statement gets short enough.

use std::collections::BTreeMap;

use super::{Binding, Bound, Edit, Plan, TooLong, value};
use crate::{
    statement::Statement,
    token::{Quoting, Token, TokenKind},
};

/// Replaces strings, the longest first, until a text of `length` characters fits. A string alone has no
/// type, a parameter has: only those are taken whose type is said.
pub(super) fn lift(
    statement: &Statement<'_>,
    plan: &Plan<'_>,
    mut length: usize,
    edits: &mut Vec<Edit>,
) -> Result<Vec<Binding>, TooLong> {
    let words: Vec<&Token> = statement.words().collect();
    let columns = columns(&words, statement.text());
    let mut found: Vec<(usize, &Token, String)> = Vec::new();
    for (at, token) in words.iter().enumerate() {
        let Some(kind) = kind(&words, at, &columns, plan, statement.text()) else { continue };
        let size = written(statement, token, edits);
        found.push((size, token, kind));
    }
    found.sort_by_key(|(size, token, _)| (std::cmp::Reverse(*size), token.span.start));
    let mut bindings = Vec::new();
    for (size, token, kind) in found {
        let name = format!("l{}", bindings.len() + 1);
        let text = format!(" CAST(:{name} AS {kind}) ");
        if length <= plan.limit || text.len() >= size {
            break;
        }
        let Some(value) = value(token, statement) else { continue };
        length = length - size + text.len();
        edits.retain(|edit| edit.span != token.span);
        edits.push(Edit { span: token.span.clone(), text });
        bindings.push(Binding { name, value: Bound::Text(value) });
    }
    if length > plan.limit { Err(TooLong { characters: length }) } else { Ok(bindings) }
}

/// How many characters the token has, in the spelling of the edits.
fn written(statement: &Statement<'_>, token: &Token, edits: &[Edit]) -> usize {
    let edited = edits.iter().find(|edit| edit.span == token.span);
    let text = edited.map_or_else(|| token.text(statement.text()), |edit| edit.text.as_str());
    text.chars().count()
}

/// The type that the string at `at` has: `'…'::t` and `CAST('…' AS t)` convert from text, a value of
/// `INSERT` has the type of its column.
fn kind(
    words: &[&Token],
    at: usize,
    columns: &BTreeMap<usize, usize>,
    plan: &Plan<'_>,
    sql: &str,
) -> Option<String> {
    let token = words.get(at)?;
    if !matches!(token.kind, TokenKind::String(quoting) if quoting != Quoting::National) {
        return None;
    }
    let behind = words.get(at + 1);
    let cast = behind.is_some_and(|next| next.kind == TokenKind::Cast)
        // `date '…'::t` is a date first.
        && at.checked_sub(1).and_then(|before| words.get(before)).is_none_or(|before| {
            !matches!(
                before.kind,
                TokenKind::Word | TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier
            ) || KEYWORDS.iter().any(|word| before.is(word, sql))
        });
    let before = |back: usize| at.checked_sub(back).and_then(|before| words.get(before));
    let function = before(2).is_some_and(|word| word.is("cast", sql))
        && before(1).is_some_and(|open| open.kind == TokenKind::Symbol('('))
        && behind.is_some_and(|next| next.is("as", sql));
    if cast || function {
        return Some("pg_catalog.text".to_owned());
    }
    plan.columns.get(*columns.get(&token.span.start)?).filter(|kind| !kind.is_empty()).cloned()
}

/// Words before a string that are no types.
const KEYWORDS: [&str; 12] = [
    "select",
    "values",
    "and",
    "or",
    "then",
    "else",
    "when",
    "in",
    "set",
    "returning",
    "not",
    "where",
];

/// For each string that is the whole of a value in `INSERT INTO t (…) VALUES (…), (…)`, by where it
/// begins: which column it is of.
fn columns(words: &[&Token], sql: &str) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    let insert = words.first().is_some_and(|first| first.is("insert", sql));
    let Some(values) = words.iter().position(|token| token.is("values", sql)).filter(|_| insert)
    else {
        return found;
    };
    let (mut depth, mut column) = (0_usize, 0);
    for window in words.get(values..).unwrap_or_default().windows(3) {
        let [before, token, behind] = window else { continue };
        match before.kind {
            TokenKind::Symbol('(' | '[') => {
                depth += 1;
                if depth == 1 {
                    column = 0;
                }
            }
            TokenKind::Symbol(')' | ']') => depth = depth.saturating_sub(1),
            TokenKind::Symbol(',') if depth == 1 => column += 1,
            _ => {}
        }
        let begins = matches!(before.kind, TokenKind::Symbol('(' | ','));
        let ends = matches!(behind.kind, TokenKind::Symbol(')' | ','));
        if depth == 1 && begins && ends && matches!(token.kind, TokenKind::String(_)) {
            found.insert(token.span.start, column);
        }
    }
    found
}
