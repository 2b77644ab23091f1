//! Foreign text inside our own: one line, no longer than a line, and nothing that may be a secret.

/// The longest quotation, in characters.
const LONGEST: usize = 240;
/// An access key has 20 characters and a secret key 40; tokens have hundreds.
const SECRET: usize = 20;
/// The shortest signature in hexadecimal digits.
const DIGEST: usize = 32;

/// What somebody else wrote, fit for an error message.
///
/// Words that look like keys, tokens or signatures are replaced. Names and ARNs stay.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for word in text.split_inclusive(is_between) {
        let end = word.trim_end_matches(is_between);
        quoted.push_str(if is_secret(end) { "[hidden]" } else { end });
        quoted.push_str(word.get(end.len()..).unwrap_or_default());
    }
    let plain = quoted.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = plain.filter(|word| !word.is_empty()).collect();
    shortened(&words.join(" "))
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || "\"'`,;:<>()[]{}=&?".contains(c)
}

/// Long, and of Base64 letters that mix cases with digits, or a hexadecimal digest: no name is.
fn is_secret(word: &str) -> bool {
    let has = |test: fn(&char) -> bool| word.chars().any(|c| test(&c));
    let digits = has(char::is_ascii_digit);
    let (upper, lower) = (has(char::is_ascii_uppercase), has(char::is_ascii_lowercase));
    let base64 = word.chars().all(|c| c.is_ascii_alphanumeric() || "+/_%-.".contains(c));
    let digest = word.len() >= DIGEST && word.chars().all(|c| c.is_ascii_hexdigit());
    let key = word.len() >= SECRET && digits && upper;
    let long = word.len() >= 2 * SECRET && upper && lower;
    digest || base64 && (key || long)
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
