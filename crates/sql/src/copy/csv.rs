//! The CSV format.

use super::{CopyError, End, Line, Reader, Row};

/// The first line of `rest`. Line ends in quotes are of the row.
pub(super) fn line(reader: &Reader, rest: &[u8], end: End) -> Result<Option<Line>, CopyError> {
    let quote = reader.layout.quote;
    // A quote that escapes a quote leaves the field and enters it again.
    let escape = Some(reader.layout.escape).filter(|escape| *escape != quote);
    let (mut quoted, mut escaped, mut lines) = (false, false, 1);
    for (at, &byte) in rest.iter().enumerate() {
        let next = rest.get(at + 1);
        // As PostgreSQL looks for a line's end: a quote behind an escape changes nothing.
        if quoted && Some(byte) == escape {
            escaped = !escaped;
        }
        if byte == quote && !escaped {
            quoted = !quoted;
        }
        if Some(byte) != escape {
            escaped = false;
        }
        match byte {
            b'\n' if !quoted => return Ok(Some(Line { length: at, whole: at + 1, lines })),
            b'\r' if !quoted => match next {
                Some(b'\n') => return Ok(Some(Line { length: at, whole: at + 2, lines })),
                None if end == End::MayFollow => return Ok(None),
                _ => return Err(CopyError::LineEnd { line: reader.line }),
            },
            b'\n' => lines += 1,
            _ => {}
        }
    }
    match end {
        End::MayFollow => Ok(None),
        End::IsHere if quoted => Err(CopyError::UnterminatedQuote { line: reader.line }),
        End::IsHere => Ok(Some(Line { length: rest.len(), whole: rest.len(), lines })),
    }
}

pub(super) fn row(reader: &Reader, line: &str) -> Row {
    let layout = &reader.layout;
    let (mut row, mut value) = (Vec::new(), Vec::new());
    let (mut quoted, mut was_quoted) = (false, false);
    let mut bytes = line.bytes().peekable();
    loop {
        let byte = bytes.next();
        match byte {
            Some(byte) if quoted => {
                let next = bytes.peek().copied();
                let escapes = next == Some(layout.quote) || next == Some(layout.escape);
                if byte == layout.escape && escapes {
                    value.extend(bytes.next());
                } else if byte == layout.quote {
                    quoted = false;
                } else {
                    value.push(byte);
                }
            }
            Some(byte) if byte == layout.quote => (quoted, was_quoted) = (true, true),
            Some(byte) if byte != layout.delimiter => value.push(byte),
            end => {
                // Quotes and delimiters are ASCII: a character is never cut.
                let text = String::from_utf8(std::mem::take(&mut value)).unwrap_or_default();
                row.push(field(reader, text, was_quoted, row.len()));
                was_quoted = false;
                if end.is_none() {
                    return row;
                }
            }
        }
    }
}

/// What is in quotes is never NULL, unless it is told to be.
fn field(reader: &Reader, text: String, quoted: bool, at: usize) -> Option<String> {
    let layout = &reader.layout;
    let column = reader.columns.get(at);
    let is = |columns: &super::Columns| column.is_some_and(|name| columns.have(name));
    let null = text == layout.null
        && if quoted { is(&layout.force_null) } else { !is(&layout.force_not_null) };
    (!null).then_some(text)
}
