//! Words of SQL, cut as PostgreSQL's scanner cuts them.

use std::{iter::FusedIterator, ops::Range};

mod number;
mod operator;
mod quoted;

pub(crate) use quoted::continuation;

/// What a backslash in `'…'` is: the setting `standard_conforming_strings`.
///
/// `E'…'` has escapes and `U&'…'` has none of this kind under both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backslashes {
    /// `on`, the default: a backslash is a backslash.
    #[default]
    Literal,
    /// `off`: a backslash takes the next character with it.
    Escape,
}

/// One token, or one comment, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes in the text that was read, quotes included.
    pub span: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An identifier without quotes, or a keyword: which of them depends on where it stands.
    Word,
    /// `"…"`.
    QuotedIdentifier,
    /// `U&"…"`.
    UnicodeIdentifier,
    /// A string constant, with what follows it over line ends.
    String(Quoting),
    /// `B'…'` or `X'…'`.
    Bits,
    /// A number, in the forms of PostgreSQL 16: `0x1F`, `1_000`, `.5e-3`.
    Number,
    /// `$1`.
    Parameter,
    /// One of the characters ``+ - * / < > = ~ ! @ # % ^ & | ? ` ``, or several as one operator.
    Operator,
    /// `::`.
    Cast,
    /// `:=`.
    Assignment,
    /// `..`.
    TwoDots,
    /// One of `, ( ) [ ] . ; :`.
    Symbol(char),
    /// `--` to the end of the line, which it does not hold.
    LineComment,
    /// `/* … */` with those inside it.
    BlockComment,
    /// A string, an identifier or a comment that the text ends in: all the rest of the text.
    Unterminated,
    /// A character that no token has: PostgreSQL says what it thinks of it.
    Junk,
}

/// How a string constant is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// `'…'`.
    Plain,
    /// `E'…'`.
    Escape,
    /// `U&'…'`.
    Unicode,
    /// `N'…'`: of the type `char`. PostgreSQL's scanner makes two tokens of it.
    National,
    /// `$tag$…$tag$`.
    Dollar,
}

impl Token {
    /// Its text, out of the text that was read. Empty if that is another text.
    pub fn text<'a>(&self, sql: &'a str) -> &'a str {
        sql.get(self.span.clone()).unwrap_or_default()
    }

    /// Whether it is this word, in whatever case, without quotes.
    pub fn is(&self, word: &str, sql: &str) -> bool {
        self.kind == TokenKind::Word && self.text(sql).eq_ignore_ascii_case(word)
    }

    /// Whether the grammar never sees it.
    pub fn is_comment(&self) -> bool {
        matches!(self.kind, TokenKind::LineComment | TokenKind::BlockComment)
    }
}

/// Reads SQL token by token, comments among them. Whitespace is what lies between them.
///
/// Whatever the text is, tokens are in order, do not overlap, are not empty and end at characters.
///
/// Source: `src/backend/parser/scan.l`, and "Lexical Structure" (4.1) in PostgreSQL's documentation.
pub fn tokens(sql: &str, backslashes: Backslashes) -> Tokens<'_> {
    Tokens { sql, at: 0, backslashes }
}

/// What [`tokens`] gives.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    sql: &'a str,
    at: usize,
    backslashes: Backslashes,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let bytes = self.sql.as_bytes();
        let rest = bytes.get(self.at..)?;
        let start = self.at + rest.iter().position(|byte| !is_space(*byte))?;
        let rest = bytes.get(start..)?;
        let (kind, length) = match scan(rest, self.backslashes) {
            Some((kind, length)) => (kind, length),
            None => (TokenKind::Unterminated, rest.len()),
        };
        // Junk alone may be a part of a character: the others end behind ASCII, or before it.
        let end = start + length.clamp(1, rest.len());
        self.at = end;
        Some(Token { kind, span: start..end })
    }
}

impl FusedIterator for Tokens<'_> {}

/// The kind and length of the token that `rest` begins with; none if it has no end.
fn scan(rest: &[u8], backslashes: Backslashes) -> Option<(TokenKind, usize)> {
    let &first = rest.first()?;
    let symbol = || Some((TokenKind::Symbol(char::from(first)), 1));
    match (first, rest.get(1).copied()) {
        (b'\'', _) => quoted::string(rest, 0, Quoting::Plain, backslashes),
        (b'e' | b'E', Some(b'\'')) => quoted::string(rest, 1, Quoting::Escape, backslashes),
        (b'n' | b'N', Some(b'\'')) => quoted::string(rest, 1, Quoting::National, backslashes),
        (b'b' | b'B' | b'x' | b'X', Some(b'\'')) => quoted::bits(rest),
        (b'u' | b'U', Some(b'&')) if rest.get(2) == Some(&b'\'') => {
            quoted::string(rest, 2, Quoting::Unicode, backslashes)
        }
        (b'u' | b'U', Some(b'&')) if rest.get(2) == Some(&b'"') => {
            Some((TokenKind::UnicodeIdentifier, quoted::identifier(rest, 2)?))
        }
        (b'"', _) => Some((TokenKind::QuotedIdentifier, quoted::identifier(rest, 0)?)),
        (b'$', _) => quoted::dollar(rest),
        (b'-', Some(b'-')) => Some((TokenKind::LineComment, quoted::line_comment(rest))),
        (b'/', Some(b'*')) => Some((TokenKind::BlockComment, quoted::block_comment(rest)?)),
        (b'.', Some(b'.')) => Some((TokenKind::TwoDots, 2)),
        (b'.', Some(b'0'..=b'9')) | (b'0'..=b'9', _) => {
            Some((TokenKind::Number, number::length(rest)))
        }
        (b':', Some(b':')) => Some((TokenKind::Cast, 2)),
        (b':', Some(b'=')) => Some((TokenKind::Assignment, 2)),
        (b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':', _) => symbol(),
        _ if operator::has(first) => Some((TokenKind::Operator, operator::length(rest))),
        _ if starts_word(first) => {
            Some((TokenKind::Word, rest.iter().take_while(|byte| continues_word(**byte)).count()))
        }
        _ => Some((TokenKind::Junk, 1)),
    }
}

/// The vertical tab is one since PostgreSQL 16, and an error before.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Every character beyond ASCII is a letter.
pub(crate) fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

pub(crate) fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

#[cfg(test)]
mod tests;
