//! Secrets as the configuration names them: a value that cannot be printed, or where to find one.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

/// A literal password from the file. Its `Debug` shows nothing; the memory is cleared on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself: for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Errors never repeat the offending value, as serde's own would.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(from)? {
            toml::Value::String(value) => Ok(Self::new(value)),
            _ => Err(de::Error::custom("a password is a string in quotes")),
        }
    }
}

/// Where a secret is read from each time it is needed, so that a changed file counts at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of the pgferry process.
    Env(String),
    /// The first line of a file that only its owner can read.
    File(PathBuf),
    /// Written in the configuration file itself.
    Literal(Secret),
}
