//! Readers of the service's placeholders, as ignorant as they may be.

/// It knows no more than it must: quotes, comments, `::`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner {
    /// Takes a backslash in a string for an escape.
    escapes: bool,
    /// Knows that comments nest.
    nests: bool,
}

pub(crate) const SCANNERS: [Scanner; 4] = [
    Scanner { escapes: false, nests: false },
    Scanner { escapes: true, nests: false },
    Scanner { escapes: false, nests: true },
    Scanner { escapes: true, nests: true },
];

impl Scanner {
    /// With `$1`, `$2`… for each placeholder, and their names.
    pub(crate) fn bind(self, sql: &str) -> (String, Vec<String>) {
        let (mut bound, mut names, mut rest) = (String::new(), Vec::new(), sql);
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '\'' | '"' => self.quoted(rest, first),
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => self.comment(rest),
                ':' if rest.starts_with("::") => 2,
                ':' => {
                    let name = |c: char| c.is_alphanumeric() || c == '_';
                    let end = rest[1..].find(|c| !name(c)).map_or(rest.len(), |end| end + 1);
                    if end > 1 {
                        names.push(rest[1..end].to_owned());
                        bound.extend(["$", &names.len().to_string()]);
                        rest = &rest[end..];
                        continue;
                    }
                    1
                }
                other => other.len_utf8(),
            };
            bound.push_str(&rest[..length]);
            rest = &rest[length..];
        }
        (bound, names)
    }

    fn quoted(self, text: &str, quote: char) -> usize {
        let mut characters = text.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            if character == quote {
                return at + 1;
            }
            if character == '\\' && self.escapes && quote == '\'' {
                characters.next();
            }
        }
        text.len()
    }

    fn comment(self, text: &str) -> usize {
        let (mut at, mut depth) = (2, 1);
        while depth > 0 && at < text.len() {
            match &text.as_bytes()[at..] {
                [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
                [b'/', b'*', ..] if self.nests => (at, depth) = (at + 2, depth + 1),
                _ => at += 1,
            }
        }
        while !text.is_char_boundary(at) {
            at += 1;
        }
        at
    }
}
