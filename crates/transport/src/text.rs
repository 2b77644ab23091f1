//! Text from plugins, made fit for logs and error messages.

/// Reads at most `limit` bytes as text: what is not UTF-8 is replaced, control characters become
/// spaces (a plugin must not forge a second log line), and a longer text ends in an ellipsis.
pub(crate) fn bounded(bytes: &[u8], limit: usize) -> String {
    let kept = bytes.get(..limit).unwrap_or(bytes);
    let mut text: String = String::from_utf8_lossy(kept)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if kept.len() < bytes.len() {
        while text.ends_with(char::REPLACEMENT_CHARACTER) {
            text.pop();
        }
        text.push('…');
    }
    text
}

/// The longest text kept of a plugin's message.
pub(crate) const MESSAGE: usize = 4 * 1024;

/// An error and everything beneath it, in one line. libloading keeps the words of `dlerror` in the
/// source alone.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_start_a_new_line() {
        assert_eq!(bounded(b"one\ntwo\x1b[31m", 100), "one two [31m");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(bounded("ääää".as_bytes(), 5), "ää…");
    }

    #[test]
    fn bytes_that_are_not_text_are_replaced() {
        assert_eq!(bounded(b"a\xffb", 10), "a\u{fffd}b");
    }
}
