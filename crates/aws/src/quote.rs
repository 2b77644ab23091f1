//! Foreign text inside our own: one line, no longer than a line, and nothing that may be a secret.

/// The longest quotation, in characters.
const LONGEST: usize = 240;
/// An access key has 20 characters and a secret key 40; tokens have hundreds.
const SECRET: usize = 20;

/// What somebody else wrote, fit for an error message.
///
/// Words that look like keys, tokens or signatures are replaced. Names and ARNs stay.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for word in text.split_inclusive(|c: char| c.is_whitespace() || "\"'`,;<>()[]{}=".contains(c)) {
        let end =
            word.trim_end_matches(|c: char| c.is_whitespace() || "\"'`,;<>()[]{}=".contains(c));
        quoted.push_str(if is_secret(end) { "[hidden]" } else { end });
        quoted.push_str(word.get(end.len()..).unwrap_or_default());
    }
    let plain = quoted.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = plain.filter(|word| !word.is_empty()).collect();
    shortened(&words.join(" "))
}

/// Long, and of Base64 letters with digits or both cases mixed: no word of a language is.
fn is_secret(word: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "+/_%-.".contains(c);
    let digits = word.chars().any(|c| c.is_ascii_digit());
    let upper = word.chars().any(|c| c.is_ascii_uppercase());
    let lower = word.chars().any(|c| c.is_ascii_lowercase());
    let mixed = digits && upper;
    word.len() >= SECRET
        && word.chars().all(letters)
        && (mixed || word.len() >= 2 * SECRET && upper && lower)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_hidden() {
        for secret in [
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQ",
            "abcdefghijklmnopqrstABCDEFGHIJKLMNOPQRSTUV",
        ] {
            for text in [secret.to_owned(), format!("key={secret};"), format!("x: '{secret}'")] {
                assert!(!quote(&text).contains(secret), "{}", quote(&text));
            }
        }
    }

    #[test]
    fn names_and_arns_are_kept() {
        for text in [
            "DBCluster shop-production-cluster-eu-west-1 not found",
            "arn:aws:iam::123456789012:role/ShopReaderOfEverything",
            "profile `dev-administrator-access` was not defined",
        ] {
            assert_eq!(quote(text), text);
        }
    }

    #[test]
    fn a_quotation_is_one_line_and_ends() {
        assert_eq!(quote("a\nb\u{1b}[31m c"), "a b [31m c");
        assert!(quote(&"word ".repeat(1000)).chars().count() <= LONGEST + 1);
    }
}
