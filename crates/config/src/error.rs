//! What can be wrong with a configuration, in words that name the file, the key and the fix.

use std::path::{Path, PathBuf};

use crate::power::Power;
use crate::search::{Candidate, Place};

/// A configuration that cannot be run. Always the user's to mend; the text says how.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file at any of the usual places.
    #[error("no configuration file found; looked {}. Write one of these, or name one with --config", places(.0))]
    NotFound(Vec<Candidate>),
    /// A file of a repository asks for what only a trusted one may do. It belongs to whoever wrote
    /// that repository; the user has to read it.
    #[error("{}: {}", .file.display(), untrusted(*.changed, .powers))]
    Untrusted {
        /// The file.
        file: PathBuf,
        /// It was trusted once, with another content.
        changed: bool,
        /// What it asks for, by line.
        powers: Vec<Power>,
    },
    /// A file that lay in the way belongs to another user.
    #[error("{}: belongs to another user (uid {uid}), who could make pgferry do anything; if you mean it, name it: --config {}", .file.display(), .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// The record of trusted files cannot be read or written.
    #[error("the record of trusted files {}: {message}", .file.display())]
    TrustStore {
        /// The record.
        file: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The file cannot be read.
    #[error("{}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not what the schema allows.
    #[error("{}{}: {}{message}", .file.display(), at_line(*.line), prefix(.key))]
    Schema {
        /// The file.
        file: PathBuf,
        /// Its line, counted from 1, where known.
        line: Option<usize>,
        /// Dotted path of the key; empty at the top.
        key: String,
        /// What is wrong with it, with the nearest valid key where one was mistyped.
        message: String,
    },
    /// The text is well formed, but cannot be run.
    #[error("{}: {}{message}", .file.display(), prefix(.key))]
    Meaning {
        /// The file.
        file: PathBuf,
        /// Dotted path of the key.
        key: String,
        /// What is wrong with it and what would be right.
        message: String,
    },
}

impl ConfigError {
    pub(crate) fn meaning(file: &Path, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Meaning { file: file.to_owned(), key: key.into(), message: message.into() }
    }

    pub(crate) fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        Self::Schema {
            file: file.to_owned(),
            line: line_of(text, error),
            key: String::new(),
            message: error.message().to_owned(),
        }
    }

    pub(crate) fn schema(
        file: &Path,
        text: &str,
        error: &serde_path_to_error::Error<toml::de::Error>,
    ) -> Self {
        let inner = error.inner();
        let line = line_of(text, inner);
        let path = error.path().to_string();
        let message = with_nearest(inner.message());
        let key = if path == "." { String::new() } else { path };
        Self::Schema { file: file.to_owned(), line, key, message }
    }
}

fn line_of(text: &str, error: &toml::de::Error) -> Option<usize> {
    let before = text.get(..error.span()?.start)?;
    Some(before.bytes().filter(|b| *b == b'\n').count() + 1)
}

/// The places as a person would say them: the way upwards in one breath.
fn places(candidates: &[Candidate]) -> String {
    let is_upwards = |candidate: &&Candidate| candidate.place == Place::Repository;
    let directory = |candidate: &Candidate| {
        candidate.file.parent().map(|directory| directory.display().to_string())
    };
    let mut upwards = candidates.iter().filter(is_upwards).filter_map(directory);
    let mut places = Vec::new();
    if let Some(here) = upwards.next() {
        let above = upwards.next_back().map_or_else(String::new, |top| format!(" and up to {top}"));
        places.push(format!("for {} in {here}{above}", crate::search::REPOSITORY_FILE));
    }
    let others = candidates.iter().filter(|candidate| !is_upwards(candidate));
    places.extend(others.map(|candidate| format!("at {}", candidate.file.display())));
    places.join(", ")
}

fn untrusted(changed: bool, powers: &[Power]) -> String {
    let line = |power: &Power| format!("  line {}: {}: {}", power.line, power.key, power.what);
    let lines: Vec<_> = powers.iter().map(line).collect();
    let why = if changed {
        "has changed since you trusted it, and asks for"
    } else {
        "came with its directory, and asks for what it may do only if you trust it"
    };
    format!("{why}:\n{}\nread it, then run: pgferry config trust", lines.join("\n"))
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

fn prefix(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("{key}: ") }
}

/// What serde says, with the key that was probably meant.
pub(crate) fn with_nearest(message: &str) -> String {
    match nearest_key(message) {
        Some(nearest) => format!("{message}; did you mean `{nearest}`?"),
        None => message.to_owned(),
    }
}

/// The valid name closest to a mistyped one, read from serde's "unknown field `x`, expected one of
/// `a`, `b`": the names come in backquotes, the wrong one first.
fn nearest_key(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    nearest(names.next()?, names)
}

/// The candidate closest to `wrong`, if any is close enough to be what was meant.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(wrong, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(2).min(4))
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_suggested_and_a_far_one_is_not() {
        let message = "unknown field `lisen`, expected one of `listen`, `database`, `transport`";
        assert_eq!(nearest_key(message), Some("listen"));
        assert_eq!(nearest_key("unknown field `xyzzy`, expected `listen`"), None);
        assert_eq!(nearest_key("invalid type: integer `5`, expected a string"), None);
    }
}
