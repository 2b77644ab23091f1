//! One line of a file, cut into words: pure.

/// A line that says something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// The keyword in lower case.
    pub(crate) keyword: String,
    /// The words after it, without quotes.
    pub(crate) arguments: Vec<String>,
    /// The same, as it stands.
    pub(crate) rest: &'a str,
}

/// Cuts a line. An empty one, or one with a comment alone, says nothing.
///
/// Errors: in words, without the place.
///
/// Source: `ssh_config(5)`: keyword and arguments are separated by whitespace, or by optional
/// whitespace and one `=`; arguments may be in double quotes.
pub(crate) fn cut(line: &str) -> Result<Option<Line<'_>>, String> {
    let line = line.trim_matches(BLANK).trim_end_matches(['\u{c}', ' ', '\t', '\r', '\n']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c| BLANK.contains(&c) || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(BLANK);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(BLANK);
    let keyword = keyword.to_ascii_lowercase();
    let arguments = words(rest).ok_or_else(|| format!("{keyword}: a quote is not closed"))?;
    if arguments.is_empty() || keyword.is_empty() {
        return Err(format!("nothing follows the keyword {keyword:?}"));
    }
    Ok(Some(Line { keyword, arguments, rest }))
}

/// The words up to a comment; none at all if a quote is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t']);
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after.trim_start_matches([' ', '\t']);
    }
    Some(words)
}

fn word(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', _) => {
                let next = chars.peek().map(|&(_, next)| next);
                let escaped = matches!(next, Some('\'' | '"' | '\\'))
                    || (next == Some(' ') && quote.is_none());
                word.push(next.filter(|_| escaped).unwrap_or('\\'));
                if escaped {
                    chars.next();
                }
            }
            (' ' | '\t', None) => return Some((word, text.get(at..)?)),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, _) => word.push(c),
        }
    }
    quote.is_none().then_some((word, ""))
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_into(line: &str) -> Vec<String> {
        let line = cut(line).unwrap().unwrap();
        [vec![line.keyword], line.arguments].concat()
    }

    #[test]
    fn keyword_and_arguments_are_separated_by_blanks_or_one_equals_sign() {
        for line in ["Host a b", "  host=a b", "HOST = a  b ", "host\ta b # c", "host \"a\" 'b'\r"]
        {
            assert_eq!(cut_into(line), ["host", "a", "b"], "{line:?}");
        }
        assert_eq!(cut_into("host == a"), ["host", "=", "a"]);
    }

    #[test]
    fn quotes_and_backslashes_keep_blanks() {
        assert_eq!(cut_into(r#"identityfile "a b"'c d' e"#), ["identityfile", "a bc d", "e"]);
        assert_eq!(cut_into(r"identityfile a\ b\\c\d"), ["identityfile", r"a b\c\d"]);
        assert_eq!(cut_into(r#"identityfile "a\" b""#), ["identityfile", "a\" b"]);
        assert_eq!(cut_into("user a#b"), ["user", "a#b"]);
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        for line in ["", "   ", "# host a", "\t#", "\r\n"] {
            assert_eq!(cut(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn a_keyword_alone_and_an_open_quote_are_mistakes() {
        for line in ["host", "host=", "host # a", "= a", "user \"a", "user a\\\"' b"] {
            assert!(cut(line).is_err(), "{line:?}");
        }
    }
}
