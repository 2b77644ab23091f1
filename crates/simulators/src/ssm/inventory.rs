//! The machines that Session Manager can reach.

use super::version::Version;

/// An instance with an agent on it; made online, with an agent of 2024.
#[derive(Clone, Debug)]
pub struct ManagedInstance {
    pub(crate) id: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(super) agent_version: String,
    pub(super) online: bool,
    pub(super) asks_for_kms: bool,
}

impl ManagedInstance {
    /// An instance called `i-…` or `mi-…`.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            tags: Vec::new(),
            agent_version: "3.3.1142.0".to_owned(),
            online: true,
            asks_for_kms: false,
        }
    }

    /// Sets the tag `Name`.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.tag("Name", name)
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The agent's version, which decides what it can do.
    #[must_use]
    pub fn agent_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.agent_version);
        self
    }

    /// Has its agent ask for encryption with KMS, as in sessions of other types.
    #[must_use]
    pub fn asks_for_kms(mut self) -> Self {
        self.asks_for_kms = true;
        self
    }

    /// Not running, until [`super::SessionManager::boot`].
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.online = false;
        self
    }

    pub(crate) fn is_online(&self) -> bool {
        self.online
    }

    pub(super) fn ping_status(&self) -> &'static str {
        if self.online { "Online" } else { "ConnectionLost" }
    }

    pub(super) fn resource_type(&self) -> &'static str {
        if self.id.starts_with("mi-") { "ManagedInstance" } else { "EC2Instance" }
    }

    pub(super) fn version_is_above(&self, parts: [u32; 4]) -> bool {
        Version::parse(&self.agent_version).is_some_and(|version| version > Version::new(parts))
    }
}
