//! Documents and queries of full text search.

mod query;
mod vector;

use std::borrow::Cow;

pub(crate) use query::{decode_query, encode_query};
pub(crate) use vector::{decode_vector, encode_vector};

use crate::{error::Fault, scan::Scan};

/// Reads a lexeme between single quotes, in which quotes and backslashes are doubled.
fn read_lexeme<'a>(scan: &mut Scan<'a>) -> Result<Cow<'a, str>, Fault> {
    scan.expect("'")?;
    let mut lexeme = Cow::Borrowed(scan.until(b"'\\"));
    loop {
        if scan.eats("''") {
            lexeme.to_mut().push('\'');
        } else if scan.eats("\\\\") {
            lexeme.to_mut().push('\\');
        } else {
            scan.expect("'")?;
            return Ok(lexeme);
        }
        lexeme.to_mut().push_str(scan.until(b"'\\"));
    }
}

fn write_lexeme(lexeme: &str, out: &mut String) {
    out.push('\'');
    for character in lexeme.chars() {
        if matches!(character, '\'' | '\\') {
            out.push(character);
        }
        out.push(character);
    }
    out.push('\'');
}
