//! What lies between quotes, and comments.
//!
//! Positions count from the first byte of the token. None is for what has no end.

use super::{Backslashes, Quoting, TokenKind, is_space, starts_word};

/// A string constant whose quote is at `quote`.
pub(super) fn string(
    rest: &[u8],
    quote: usize,
    quoting: Quoting,
    backslashes: Backslashes,
) -> Option<(TokenKind, usize)> {
    let escapes = match quoting {
        Quoting::Escape => true,
        Quoting::Plain | Quoting::National => backslashes == Backslashes::Escape,
        Quoting::Unicode | Quoting::Dollar => false,
    };
    let mut at = quote + 1;
    loop {
        match rest.get(at)? {
            b'\\' if escapes => at += 2,
            b'\'' if rest.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => match continuation(rest, at + 1) {
                Some(next) => at = next,
                None => return Some((TokenKind::String(quoting), at + 1)),
            },
            _ => at += 1,
        }
    }
}

/// `B'…'` and `X'…'`: a doubled quote is no quote here, but the next string.
pub(super) fn bits(rest: &[u8]) -> Option<(TokenKind, usize)> {
    let mut at = 2;
    loop {
        let end = at + rest.get(at..)?.iter().position(|byte| *byte == b'\'')?;
        match continuation(rest, end + 1) {
            Some(next) => at = next,
            None => return Some((TokenKind::Bits, end + 1)),
        }
    }
}

/// Where a string goes on whose quote was closed before `at`: behind the next quote, if there is
/// nothing but space, comments and at least one line end between.
pub(crate) fn continuation(rest: &[u8], mut at: usize) -> Option<usize> {
    let mut line_ended = false;
    loop {
        match rest.get(at)? {
            b'\'' if line_ended => return Some(at + 1),
            b'\n' | b'\r' => line_ended = true,
            b'-' if rest.get(at + 1) == Some(&b'-') => {
                at += line_comment(rest.get(at..)?);
                continue;
            }
            byte if is_space(*byte) => {}
            _ => return None,
        }
        at += 1;
    }
}

/// `"…"` whose quote is at `quote`.
pub(super) fn identifier(rest: &[u8], quote: usize) -> Option<usize> {
    let mut at = quote + 1;
    loop {
        at += rest.get(at..)?.iter().position(|byte| *byte == b'"')? + 1;
        if rest.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

/// What begins with a dollar: a parameter, a string, or nothing.
pub(super) fn dollar(rest: &[u8]) -> Option<(TokenKind, usize)> {
    let digits = rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 {
        return Some((TokenKind::Parameter, digits + 1));
    }
    let Some(delimiter) = delimiter(rest) else { return Some((TokenKind::Junk, 1)) };
    let body = rest.get(delimiter.len()..)?;
    let end = body.windows(delimiter.len()).position(|window| window == delimiter)?;
    Some((TokenKind::String(Quoting::Dollar), end + 2 * delimiter.len()))
}

/// `$tag$`, if `rest` begins with that. A tag is a word without dollars.
pub(crate) fn delimiter(rest: &[u8]) -> Option<&[u8]> {
    let tag = rest.get(1..)?;
    let length = tag.iter().position(|byte| !(starts_word(*byte) || byte.is_ascii_digit()))?;
    let numeric = tag.first().is_some_and(u8::is_ascii_digit);
    (!numeric && tag.get(length) == Some(&b'$')).then(|| rest.get(..length + 2)).flatten()
}

/// To the end of the line, which does not belong to it.
pub(super) fn line_comment(rest: &[u8]) -> usize {
    rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len())
}

/// `/* … */`. They nest.
pub(super) fn block_comment(rest: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (2, 1_usize);
    while depth > 0 {
        match (rest.get(at)?, rest.get(at + 1)?) {
            (b'/', b'*') => (at, depth) = (at + 2, depth + 1),
            (b'*', b'/') => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    Some(at)
}
