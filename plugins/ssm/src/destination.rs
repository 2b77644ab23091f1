//! Where the agent has to connect to.

use std::fmt;

/// The database, as the managed node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Destination {
    /// A port of the managed node itself.
    pub fn on_the_node(port: u16) -> Self {
        Self { host: THE_NODE.to_owned(), port }
    }

    /// Whether the managed node itself is meant.
    pub(crate) fn is_the_node(&self) -> bool {
        self.host == THE_NODE
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// As agents know themselves.
const THE_NODE: &str = "localhost";
