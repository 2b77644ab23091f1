//! How the service finds `:name` in a statement, with the mistakes it makes.

use super::unknowns::EscapeStrings;

/// A statement as PostgreSQL gets it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// With `$1`, `$2`... where names were.
    pub(super) sql: String,
    /// The name at each of them; one that is used twice is there twice.
    pub(super) names: Vec<String>,
}

/// Quotes, quoted identifiers, comments and `::` are respected. Dollar quotes and array slices are
/// not: `$$a :b c$$` becomes `$$a $1 c$$`, and `a[1:2]` becomes `a[1$1]`.
pub(super) fn scan(sql: &str, escapes: EscapeStrings) -> Scanned {
    let mut scanned = Scanned { sql: String::with_capacity(sql.len()), names: Vec::new() };
    let mut rest = sql;
    while !rest.is_empty() {
        let before = sql.get(..sql.len() - rest.len()).unwrap_or_default();
        let length = if let Some(name) = name(rest) {
            scanned.names.push(name.to_owned());
            scanned.sql.push('$');
            scanned.sql.push_str(&scanned.names.len().to_string());
            name.len() + 1
        } else {
            let length = opaque(rest, before, escapes);
            scanned.sql.push_str(rest.get(..length).unwrap_or(rest));
            length
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    scanned
}

/// Whether something follows a `;` that ends a statement. Here dollar quotes are known.
pub(super) fn holds_several(sql: &str, escapes: EscapeStrings) -> bool {
    let (mut rest, mut ended) = (sql, false);
    while let Some(first) = rest.chars().next() {
        let before = sql.get(..sql.len() - rest.len()).unwrap_or_default();
        let length = dollar_quoted(rest, before).unwrap_or_else(|| opaque(rest, before, escapes));
        let blank = first.is_whitespace() || rest.starts_with("--") || rest.starts_with("/*");
        if ended && !blank && first != ';' {
            return true;
        }
        ended |= first == ';';
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

/// The name of the placeholder that `rest` begins with.
fn name(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix(':')?;
    let end = after.find(|it: char| !is_word(it)).unwrap_or(after.len());
    after.get(..end).filter(|name| !name.is_empty())
}

/// The bytes of the piece that `rest` begins with and no placeholder is looked for in.
fn opaque(rest: &str, before: &str, escapes: EscapeStrings) -> usize {
    let mut letters = rest.chars();
    match letters.next() {
        Some('\'') if escapes == EscapeStrings::Known && ends_in_escape(before) => escaped(rest),
        Some(quote @ ('\'' | '"')) => {
            rest.get(1..).and_then(|it| it.find(quote)).map_or(rest.len(), |end| end + 2)
        }
        _ if rest.starts_with("--") => rest.find('\n').map_or(rest.len(), |end| end + 1),
        _ if rest.starts_with("/*") => comment(rest),
        _ if rest.starts_with("::") => 2,
        first => first.map_or(0, char::len_utf8),
    }
}

/// Whether a quote that follows opens a string with backslashes: `E'…'`.
fn ends_in_escape(before: &str) -> bool {
    before.strip_suffix(['e', 'E']).is_some_and(|it| !it.ends_with(is_word))
}

fn escaped(rest: &str) -> usize {
    let mut backslash = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            '\'' if !backslash => return at + 1,
            '\\' => backslash = !backslash,
            _ => backslash = false,
        }
    }
    rest.len()
}

fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(here) = rest.get(at..).filter(|it| !it.is_empty()) {
        at += if here.starts_with("/*") {
            depth += 1;
            2
        } else if here.starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
            2
        } else {
            here.chars().next().map_or(1, char::len_utf8)
        };
    }
    rest.len()
}

fn dollar_quoted(rest: &str, before: &str) -> Option<usize> {
    let after = rest.strip_prefix('$').filter(|_| !before.ends_with(is_word))?;
    let end = after.find('$')?;
    let tag = after.get(..end)?;
    if tag.starts_with(|it: char| it.is_ascii_digit()) || !tag.chars().all(is_word) {
        return None;
    }
    let delimiter = rest.get(..end + 2)?;
    let body = rest.get(delimiter.len()..)?;
    body.find(delimiter).map(|end| end + 2 * delimiter.len())
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(sql: &str) -> (String, Vec<String>) {
        let Scanned { sql, names } = scan(sql, EscapeStrings::Known);
        (sql, names)
    }

    #[test]
    fn every_occurrence_of_a_name_is_a_new_place() {
        let (sql, names) = scanned("SELECT :a, :b::int, :a, :1");
        assert_eq!(sql, "SELECT $1, $2::int, $3, $4");
        assert_eq!(names, ["a", "b", "a", "1"]);
    }

    #[test]
    fn quotes_and_comments_are_left_alone() {
        for sql in [
            "SELECT ':a', \":b\" -- :c",
            "SELECT /* :a /* :b */ :c */ 'it''s :d'",
            r"SELECT E'\':a', e'\\'",
            "SELECT 'é:a', U&':b'",
            "SELECT f(a := 1, b => 2)",
        ] {
            assert_eq!(scanned(sql), (sql.to_owned(), vec![]));
        }
    }

    #[test]
    fn dollar_quotes_and_slices_are_spoilt() {
        assert_eq!(scanned("SELECT $$a :b c$$").0, "SELECT $$a $1 c$$");
        assert_eq!(scanned("SELECT a[1:2]").0, "SELECT a[1$1]");
    }

    #[test]
    fn backslashes_may_be_unknown_to_it() {
        let ignorant = scan(r"SELECT E'\':a'", EscapeStrings::Unknown);
        assert_eq!(ignorant.names, ["a"]);
    }

    #[test]
    fn a_semicolon_at_the_end_is_not_a_second_statement() {
        let several = |sql| holds_several(sql, EscapeStrings::Known);
        assert!(!several("SELECT 1;"));
        assert!(!several("SELECT 1; -- done\n;"));
        assert!(!several("SELECT ';a', \";b\", $$;c$$, $x$;$$d$x$ /* ;e */"));
        assert!(several("SELECT 1; SELECT 2"));
        assert!(several("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; END"));
    }
}
