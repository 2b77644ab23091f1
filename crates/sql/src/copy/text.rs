//! The text format.

use super::{CopyError, End, Layout, Line, Row};

/// The first line of `rest`. A backslash makes a line end a part of the row.
pub(super) fn line(number: u64, rest: &[u8], end: End) -> Result<Option<Line>, CopyError> {
    let (mut at, mut lines) = (0, 1);
    loop {
        match (rest.get(at), rest.get(at + 1)) {
            (Some(b'\n'), _) => return Ok(Some(Line { length: at, whole: at + 1, lines })),
            (Some(b'\r'), Some(b'\n')) => {
                return Ok(Some(Line { length: at, whole: at + 2, lines }));
            }
            (Some(b'\r'), None) if end == End::MayFollow => return Ok(None),
            (Some(b'\r'), _) => return Err(CopyError::LineEnd { line: number }),
            (Some(b'\\'), Some(escaped)) => {
                lines += u64::from(*escaped == b'\n');
                at += 2;
            }
            (Some(_), _) => at += 1,
            (None, _) if end == End::IsHere => {
                return Ok(Some(Line { length: at, whole: at, lines }));
            }
            (None, _) => return Ok(None),
        }
    }
}

/// Whether `\.` is in it where it is no escaped point: it ends the data only on a line of its own.
pub(super) fn is_corrupt(line: &str) -> bool {
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && bytes.next() == Some(b'.') {
            return true;
        }
    }
    false
}

/// None if its escapes make bytes that are no text.
pub(super) fn row(layout: &Layout, line: &str) -> Option<Row> {
    let (bytes, mut row, mut start) = (line.as_bytes(), Vec::new(), 0);
    let mut at = 0;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(byte) if *byte != layout.delimiter => at += 1,
            delimiter => {
                row.push(field(layout, bytes.get(start..at.min(bytes.len()))?)?);
                if delimiter.is_none() {
                    return Some(row);
                }
                at += 1;
                start = at;
            }
        }
    }
}

/// NULL is told by what is written, before escapes are undone.
#[expect(clippy::option_option, reason = "a field may be NULL, and may be no text")]
fn field(layout: &Layout, written: &[u8]) -> Option<Option<String>> {
    if written == layout.null.as_bytes() {
        return Some(None);
    }
    let (mut value, mut at) = (Vec::with_capacity(written.len()), 0);
    while let Some(&byte) = written.get(at) {
        at += 1;
        match (byte, written.get(at)) {
            (b'\\', Some(&escaped)) => {
                at += 1;
                match escaped {
                    b'b' => value.push(0x08),
                    b'f' => value.push(0x0c),
                    b'n' => value.push(b'\n'),
                    b'r' => value.push(b'\r'),
                    b't' => value.push(b'\t'),
                    b'v' => value.push(0x0b),
                    b'0'..=b'7' => at = number(written, at - 1, 3, 8, &mut value),
                    b'x' if written.get(at).is_some_and(u8::is_ascii_hexdigit) => {
                        at = number(written, at, 2, 16, &mut value);
                    }
                    other => value.push(other),
                }
            }
            _ => value.push(byte),
        }
    }
    String::from_utf8(value).ok().filter(|value| !value.contains('\0')).map(Some)
}

/// A byte by its number in `radix`, of at most so many digits; where it ends.
fn number(written: &[u8], at: usize, most: usize, radix: u32, value: &mut Vec<u8>) -> usize {
    let digits = written.get(at..).unwrap_or_default().iter().take(most);
    let digits = digits.map_while(|byte| char::from(*byte).to_digit(radix));
    let (mut sum, mut count) = (0, 0);
    for digit in digits {
        sum = sum * radix + digit;
        count += 1;
    }
    value.extend(u8::try_from(sum & 0xff));
    at + count
}
