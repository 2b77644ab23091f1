//! What the configuration says about one transport instance.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::{Prompt, SecretService};

/// One transport instance to create.
#[derive(Clone)]
pub struct InstanceSpec {
    /// The instance's name: the key under `[transports]`, or the target's name where a target
    /// carries its transport inline.
    pub name: String,
    /// The kind of transport as the configuration writes it. `direct` is built in; any other is the
    /// name of a plugin, with `-` standing for `_` (`data-api` is the plugin `data_api`).
    pub kind: String,
    /// The plugin's library, absolute. Goes before a plugin of that name linked into the program.
    pub path: Option<PathBuf>,
    /// The digest that the library must have.
    pub sha256: Option<[u8; 32]>,
    /// The plugin's own configuration, handed over as JSON. Holds no secret.
    pub config: Value,
    /// The secrets that the plugin may ask for, by the name it asks with.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Who has secrets that no variable or file holds, if the instance may have those.
    pub service: Option<Arc<dyn SecretService>>,
    /// Whom to ask for a secret that is not granted, where the plugin has words for a person.
    pub prompt: Option<Arc<dyn Prompt>>,
    /// The instance through which this one dials.
    pub via: Option<String>,
    /// How many opens may be under way at once. [`InstanceSpec::DEFAULT_OPENS`] unless configured.
    pub max_concurrent_opens: usize,
}

impl InstanceSpec {
    /// The number of opens under way at once when the configuration does not say.
    pub const DEFAULT_OPENS: usize = 16;

    /// An instance with an empty configuration, no secrets, nobody to ask and the default cap.
    pub fn new(name: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            path: None,
            sha256: None,
            config: Value::Object(serde_json::Map::new()),
            secrets: BTreeMap::new(),
            service: None,
            prompt: None,
            via: None,
            max_concurrent_opens: Self::DEFAULT_OPENS,
        }
    }

    /// Whether the two describe the same instance, whoever would be asked for its secrets.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let Self {
            name,
            kind,
            path,
            sha256,
            config,
            secrets,
            service,
            via,
            max_concurrent_opens,
            prompt: _,
        } = self;
        let whose = |service: &Option<Arc<dyn SecretService>>| {
            service.as_ref().map(|service| service.identity())
        };
        *name == other.name
            && *kind == other.kind
            && *path == other.path
            && *sha256 == other.sha256
            && *config == other.config
            && *secrets == other.secrets
            && whose(service) == whose(&other.service)
            && *via == other.via
            && *max_concurrent_opens == other.max_concurrent_opens
    }
}

impl fmt::Debug for InstanceSpec {
    /// Leaves the configuration out: it should hold no secret, but a user may have put one there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceSpec")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("path", &self.path)
            .field("via", &self.via)
            .field("secrets", &self.secrets.keys())
            .finish_non_exhaustive()
    }
}

/// Where a secret lies until a plugin asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of this process.
    Env(String),
    /// A file; one line break at its end is not part of the secret.
    File(PathBuf),
}
