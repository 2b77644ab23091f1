//! Patterns for names: pure.

use crate::known_hosts::glob;

/// Whether a name matches one pattern with `*` and `?`.
pub(crate) fn matches(name: &str, pattern: &str) -> bool {
    glob(pattern.as_bytes(), name.as_bytes())
}

/// Whether a name matches a comma-separated list: one of its patterns, and none with a leading `!`.
///
/// Source: `ssh_config(5)`, PATTERNS.
pub(crate) fn list_matches(name: &str, list: &str) -> bool {
    let mut matched = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(name, excluded) => return false,
            Some(_) => {}
            None => matched |= matches(name, pattern),
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_matches_with_one_pattern_and_without_an_excluding_one() {
        assert!(list_matches("a.example.com", "b.*,*.example.com"));
        assert!(!list_matches("a.example.com", "*.example.com,!a.*"));
        assert!(!list_matches("a.example.com", "!b.*"));
        assert!(list_matches("host7", "host?"));
    }
}
