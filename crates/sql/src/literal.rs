//! What identifiers and strings mean: what is between their quotes, with escapes undone.

use crate::token::{Backslashes, Quoting, TokenKind, continuation};

/// Identifiers are cut to so many bytes: `NAMEDATALEN` less one.
const NAME_BYTES: usize = 63;

/// The name that a token is. None if it is no identifier, or not a right one.
pub(crate) fn name(kind: TokenKind, text: &str) -> Option<String> {
    let mut name = match kind {
        TokenKind::Word => text.to_ascii_lowercase(),
        TokenKind::QuotedIdentifier => between(text, 1)?.replace("\"\"", "\""),
        TokenKind::UnicodeIdentifier => unicode(&between(text, 3)?.replace("\"\"", "\""))?,
        _ => return None,
    };
    if name.len() > NAME_BYTES {
        name.truncate(name.floor_char_boundary(NAME_BYTES));
    }
    (!name.is_empty()).then_some(name)
}

/// The value of a string constant. None if its escapes are wrong, or what they say is not UTF-8.
pub(crate) fn string(quoting: Quoting, text: &str, backslashes: Backslashes) -> Option<String> {
    let (open, escapes) = match quoting {
        Quoting::Plain => (1, backslashes == Backslashes::Escape),
        Quoting::National => (2, backslashes == Backslashes::Escape),
        Quoting::Escape => (2, true),
        Quoting::Unicode => return unicode(&doubled(text, 3)?),
        Quoting::Dollar => {
            let delimiter = text.get(1..)?.find('$')? + 2;
            return text.get(delimiter..text.len().checked_sub(delimiter)?).map(str::to_owned);
        }
    };
    if escapes { escaped(text, open) } else { doubled(text, open) }
}

/// Without `open` bytes at the beginning and the quote at the end.
fn between(text: &str, open: usize) -> Option<&str> {
    text.get(open..text.len().checked_sub(1)?)
}

/// Of a string without backslashes, which may go on over line ends.
fn doubled(text: &str, open: usize) -> Option<String> {
    let (mut value, mut rest) = (String::new(), text.get(open..)?);
    loop {
        let quote = rest.find('\'')?;
        value.push_str(rest.get(..quote)?);
        match rest.as_bytes().get(quote + 1) {
            None => return Some(value),
            Some(b'\'') => {
                value.push('\'');
                rest = rest.get(quote + 2..)?;
            }
            Some(_) => rest = rest.get(continuation(rest.as_bytes(), quote + 1)?..)?,
        }
    }
}

/// Of `E'…'`.
fn escaped(text: &str, open: usize) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut value, mut at) = (Vec::new(), open);
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (b'\'', None) => return String::from_utf8(value).ok(),
            (b'\'', Some(b'\'')) => {
                value.push(b'\'');
                at += 2;
            }
            (b'\'', Some(_)) => at = continuation(bytes, at + 1)?,
            (b'\\', Some(_)) => at = escape(text, at + 1, &mut value)?,
            (byte, _) => {
                value.push(byte);
                at += 1;
            }
        }
    }
}

/// Undoes the escape whose first byte behind the backslash is at `at`, and says where it ends.
///
/// Source: "String Constants with C-Style Escapes" (4.1.2.2) in PostgreSQL's documentation.
fn escape(text: &str, at: usize, value: &mut Vec<u8>) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize, most: usize, radix: u32| {
        let digit = |byte: &&u8| char::from(**byte).is_digit(radix);
        let count = bytes.get(from..)?.iter().take(most).take_while(digit).count();
        let number = u32::from_str_radix(text.get(from..from + count)?, radix).ok()?;
        Some((number, from + count))
    };
    let simple = match *bytes.get(at)? {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'0'..=b'7' => {
            let (number, end) = digits(at, 3, 8)?;
            // As C has it: what is beyond a byte is lost.
            value.push(u8::try_from(number & 0xff).ok()?);
            return Some(end);
        }
        b'x' => match digits(at + 1, 2, 16) {
            Some((number, end)) => {
                value.push(u8::try_from(number).ok()?);
                return Some(end);
            }
            None => b'x',
        },
        unicode @ (b'u' | b'U') => {
            let length = if unicode == b'u' { 4 } else { 8 };
            let (mut number, mut end) = digits(at + 1, length, 16)?;
            if end != at + 1 + length {
                return None;
            }
            if (0xd800..0xdc00).contains(&number) && bytes.get(end..end + 2) == Some(b"\\u") {
                let (low, low_end) = digits(end + 2, 4, 16)?;
                number = join_surrogates(number, low)?;
                end = low_end;
            }
            let mut buffer = [0; 4];
            value.extend(char::from_u32(number)?.encode_utf8(&mut buffer).as_bytes());
            return Some(end);
        }
        other => other,
    };
    value.push(simple);
    Some(at + 1)
}

fn join_surrogates(high: u32, low: u32) -> Option<u32> {
    (0xdc00..0xe000).contains(&low).then(|| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

/// Undoes the escapes of `U&'…'` and `U&"…"` for the usual escape character: `UESCAPE` is not read.
fn unicode(text: &str) -> Option<String> {
    let mut rest = text;
    let mut value = String::new();
    let mut high = None;
    while let Some(start) = rest.find('\\') {
        let plain = rest.get(..start)?;
        if high.is_some() && !plain.is_empty() {
            return None;
        }
        value.push_str(plain);
        let body = rest.get(start + 1..)?;
        if let Some(after) = body.strip_prefix('\\') {
            value.push('\\');
            rest = after;
            continue;
        }
        let (digits, after) = match body.strip_prefix('+') {
            Some(long) => (long.get(..6)?, long.get(6..)?),
            None => (body.get(..4)?, body.get(4..)?),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut number = u32::from_str_radix(digits, 16).ok()?;
        if let Some(high) = high.take() {
            number = join_surrogates(high, number)?;
        }
        if (0xd800..0xdc00).contains(&number) {
            high = Some(number);
        } else {
            value.push(char::from_u32(number)?);
        }
        rest = after;
    }
    value.push_str(rest);
    high.is_none().then_some(value)
}

/// `text` as a string constant that reads the same under either setting of
/// `standard_conforming_strings`, and for a reader who does not know which of both it is: no quote in it
/// follows a backslash that escapes it.
pub(crate) fn quoted(text: &str) -> String {
    let quotes = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", quotes.replace('\\', "\\\\"))
    } else {
        format!("'{quotes}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(sql: &str) -> Option<String> {
        let token = crate::tokens(sql, Backslashes::Literal).next()?;
        match token.kind {
            TokenKind::String(quoting) => string(quoting, token.text(sql), Backslashes::Literal),
            kind => name(kind, token.text(sql)),
        }
    }

    #[test]
    fn strings_mean_what_is_between_their_quotes() {
        for (sql, expected) in [
            ("'it''s \\n'", "it's \\n"),
            ("'a' -- b\n  'c'", "ac"),
            ("E'a\\'\\n\\x41\\101\\u00e9\\\\''b'\n'c'", "a'\nAAé\\'bc"),
            ("E'\\ud83d\\ude00\\U0001F600'", "😀😀"),
            ("U&'d\\0061t\\+00001F\\\\ \\d83d\\de00'", "dat\u{1f}\\ 😀"),
            ("$a$it's $b$$a$", "it's $b$"),
            ("$$$$", ""),
            ("n'x'", "x"),
        ] {
            assert_eq!(value(sql).as_deref(), Some(expected), "{sql}");
        }
        for wrong in ["E'\\u00'", "E'\\xff'", "U&'\\00'", "U&'\\d83d x'", "E'\\ud83d'"] {
            assert_eq!(value(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_are_folded_unquoted_and_cut() {
        assert_eq!(value("FoO").as_deref(), Some("foo"));
        assert_eq!(value("\"Fo\"\"O\"").as_deref(), Some("Fo\"O"));
        assert_eq!(value("U&\"\\00e9\"").as_deref(), Some("é"));
        assert_eq!(value(&"é".repeat(40)).unwrap(), "é".repeat(31));
        assert_eq!(value("\"\""), None);
    }

    #[test]
    fn what_is_quoted_reads_as_it_was() {
        for text in ["", "it's", "a\\", "\\'", "'\\\\'"] {
            assert_eq!(value(&quoted(text)).as_deref(), Some(text));
        }
    }
}
