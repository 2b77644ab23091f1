//! Other spellings of what the service's scanner does not know.

use super::{Edit, value};
use crate::{
    literal,
    statement::Statement,
    token::{Backslashes, Quoting, Token, TokenKind},
};

/// What has to be written in another way.
pub(super) fn edits(statement: &Statement<'_>) -> Vec<Edit> {
    let mut edits: Vec<Edit> =
        statement.tokens().iter().filter_map(|token| comment(statement, token)).collect();
    let words: Vec<&Token> = statement.words().collect();
    // For each opened bracket: whether it is square, so that a colon in it makes a slice.
    let mut open: Vec<bool> = Vec::new();
    for (at, token) in words.iter().enumerate() {
        let neighbours = Neighbours {
            before: at.checked_sub(1).and_then(|before| words.get(before)).copied(),
            behind: words.get(at + 1..).unwrap_or_default(),
        };
        match token.kind {
            TokenKind::Symbol('(') => open.push(false),
            TokenKind::Symbol('[') => open.push(true),
            TokenKind::Symbol(')' | ']') => drop(open.pop()),
            TokenKind::Symbol(':') => edits.extend(colon(token, open.last(), &neighbours)),
            TokenKind::Assignment if !open.is_empty() => {
                edits.extend(named_argument(token, &neighbours));
            }
            TokenKind::String(quoting) => {
                edits.extend(string(statement, token, quoting, &neighbours));
            }
            _ => {}
        }
    }
    edits
}

struct Neighbours<'a> {
    before: Option<&'a Token>,
    behind: &'a [&'a Token],
}

impl Neighbours<'_> {
    fn have_string(&self) -> bool {
        let string = |token: &&Token| matches!(token.kind, TokenKind::String(_));
        self.before.as_ref().is_some_and(string) || self.behind.first().is_some_and(string)
    }
}

fn insertion(at: usize, text: &str) -> Edit {
    Edit { span: at..at, text: text.to_owned() }
}

/// A comment within a comment, and one that a carriage return alone ends, end elsewhere for a reader who
/// knows neither.
fn comment(statement: &Statement<'_>, token: &Token) -> Option<Edit> {
    let text = token.text(statement.text());
    let behind = statement.text().as_bytes().get(token.span.end..).unwrap_or_default();
    let foreign = match token.kind {
        TokenKind::BlockComment => text.get(2..).is_some_and(|inside| inside.contains("/*")),
        TokenKind::LineComment => behind.first() == Some(&b'\r') && behind.get(1) != Some(&b'\n'),
        _ => false,
    };
    foreign.then(|| Edit { span: token.span.clone(), text: " ".to_owned() })
}

/// `a[1:2]` becomes `a[1:(2)]`; elsewhere a blank follows, as in `JSON_OBJECT('a': b)`.
fn colon(token: &Token, open: Option<&bool>, neighbours: &Neighbours<'_>) -> Vec<Edit> {
    let end = match open {
        Some(true) => end_of_bound(neighbours.behind),
        _ => Bound::Unknown,
    };
    match end {
        Bound::Missing => Vec::new(),
        Bound::Ends(end) => vec![insertion(token.span.end, "("), insertion(end, ")")],
        Bound::Unknown => vec![insertion(token.span.end, " ")],
    }
}

/// The upper bound of a slice.
enum Bound {
    /// `a[1:]`.
    Missing,
    /// Where it ends.
    Ends(usize),
    /// The bracket is never closed.
    Unknown,
}

fn end_of_bound(behind: &[&Token]) -> Bound {
    let mut depth = 0_usize;
    let mut end = None;
    for token in behind {
        match token.kind {
            TokenKind::Symbol('(' | '[') => depth += 1,
            TokenKind::Symbol(']') if depth == 0 => {
                return end.map_or(Bound::Missing, Bound::Ends);
            }
            TokenKind::Symbol(')' | ']') if depth > 0 => depth -= 1,
            TokenKind::Symbol(')' | ':') if depth == 0 => return Bound::Unknown,
            _ => {}
        }
        end = Some(token.span.end);
    }
    Bound::Unknown
}

/// `name := value` becomes `name => value`. The blank keeps an operator that follows apart.
fn named_argument(token: &Token, neighbours: &Neighbours<'_>) -> Option<Edit> {
    let named = neighbours.before.is_some_and(|before| {
        matches!(
            before.kind,
            TokenKind::Word | TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier
        )
    });
    named.then(|| Edit { span: token.span.clone(), text: "=> ".to_owned() })
}

fn string(
    statement: &Statement<'_>,
    token: &Token,
    quoting: Quoting,
    neighbours: &Neighbours<'_>,
) -> Option<Edit> {
    let text = token.text(statement.text());
    let escapes = quoting == Quoting::Escape
        || quoting == Quoting::Plain && statement.backslashes() == Backslashes::Escape;
    let mut text = match quoting {
        // Beside another string both would be one; as it is, it is an error.
        Quoting::Dollar if neighbours.have_string() => return None,
        Quoting::Dollar => literal::quoted(&value(token, statement)?),
        Quoting::Plain | Quoting::Escape if !text.contains("\\'") => return None,
        Quoting::Plain if !escapes => literal::quoted(&value(token, statement)?),
        Quoting::Plain => format!("E{}", without_escaped_quotes(text)),
        Quoting::Escape => without_escaped_quotes(text),
        Quoting::Unicode | Quoting::National => return None,
    };
    statement.part_from(&token.span, &mut text);
    Some(Edit { span: token.span.clone(), text })
}

/// `\'` becomes `''`.
fn without_escaped_quotes(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('\'') => result.push_str("''"),
                other => result.extend(['\\'].into_iter().chain(other)),
            },
            other => result.push(other),
        }
    }
    result
}
