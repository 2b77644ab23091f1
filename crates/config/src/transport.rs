//! A transport as configured: what the host needs to know, and the rest for the plugin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::ConfigError;
use crate::paths;
use crate::plan::Aws;
use crate::schema::Grant;
use crate::secret::SecretSource;

/// One configured transport instance: `[transports.NAME]`, or one written inside a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Transport {
    /// The instance's name: `NAME`, or the target's for one written inside it.
    pub name: String,
    /// Which plugin: `direct`, `ssh`, …
    pub kind: String,
    /// Take the plugin from this library, and nowhere else.
    pub path: Option<PathBuf>,
    /// Refuse the library unless its content has this SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// The instance beneath, through which this one dials.
    pub via: Option<String>,
    /// How many opens may be under way at once.
    pub max_opens: usize,
    /// Secrets the plugin may ask for, by name. Never literal values.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Whose AWS it may use; nobody's if absent.
    pub aws: Option<Aws>,
    /// Everything else: the plugin's own configuration, with `*_file` paths made absolute.
    pub config: serde_json::Value,
}

impl Transport {
    /// Whether it does nothing without AWS, and so is given it unasked.
    pub(crate) fn wants_aws(&self) -> bool {
        match self.kind.as_str() {
            "ssm" | "data-api" => true,
            "ssh" => self.config.get("key").is_some_and(|key| key == "instance-connect"),
            _ => false,
        }
    }
}

const MAX_OPENS: usize = 16;

/// Takes the host's keys out of a table and leaves the plugin the rest.
pub(crate) struct Reader<'a> {
    pub(crate) file: &'a Path,
    pub(crate) base: &'a Path,
    /// Dotted path of the table, for errors.
    pub(crate) key: String,
}

impl Reader<'_> {
    pub(crate) fn read(
        &self,
        name: &str,
        mut table: toml::Table,
    ) -> Result<Transport, ConfigError> {
        let kind: String = self.take(&mut table, "kind")?.ok_or_else(|| {
            self.error("kind", "is missing: which transport? For example \"ssh\"")
        })?;
        if !is_plugin_name(&kind) {
            return Err(
                self.error("kind", format!("`{kind}` is no transport's name (a-z, 0-9, -)"))
            );
        }
        let path: Option<PathBuf> = self.take(&mut table, "path")?;
        let sha256: Option<String> = self.take(&mut table, "sha256")?;
        let grants: Option<BTreeMap<String, Grant>> = self.take(&mut table, "secrets")?;
        let via = self.take(&mut table, "via")?;
        let max_opens = self.take(&mut table, "max_opens")?.unwrap_or(MAX_OPENS);
        let config = self.plugin_config(&kind, table)?;
        Ok(Transport {
            name: name.to_owned(),
            kind,
            path: path.map(|path| paths::resolve(self.base, &path)),
            sha256: sha256.map(|hex| self.sha256(&hex)).transpose()?,
            via,
            max_opens,
            secrets: self.grants(grants.unwrap_or_default())?,
            aws: None,
            config,
        })
    }

    pub(crate) fn take<T: for<'de> Deserialize<'de>>(
        &self,
        table: &mut toml::Table,
        key: &str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = table.remove(key) else { return Ok(None) };
        value
            .try_into()
            .map(Some)
            .map_err(|error| self.error(key, crate::error::with_nearest(error.message())))
    }

    fn sha256(&self, hex: &str) -> Result<[u8; 32], ConfigError> {
        let wrong = || self.error("sha256", "is 64 hexadecimal digits, as sha256sum prints them");
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(wrong());
        }
        let mut digest = [0; 32];
        for (index, byte) in digest.iter_mut().enumerate() {
            let digits = hex.get(2 * index..2 * index + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(digest)
    }

    fn grants(
        &self,
        grants: BTreeMap<String, Grant>,
    ) -> Result<BTreeMap<String, SecretSource>, ConfigError> {
        grants
            .into_iter()
            .map(|(name, grant)| match (grant.env, grant.file) {
                (Some(env), None) => Ok((name, SecretSource::Env(env))),
                (None, Some(file)) => {
                    Ok((name, SecretSource::File(paths::resolve(self.base, &file))))
                }
                _ => Err(self.error(
                    &format!("secrets.{name}"),
                    "needs one of { env = \"…\" } and { file = \"…\" }",
                )),
            })
            .collect()
    }

    /// The plugin's own keys as JSON. A key that ends in `_file` is a path and made absolute here,
    /// because only the host knows where the configuration file is; so is the program of `exec`,
    /// unless it is a bare name and so for `PATH`.
    fn plugin_config(
        &self,
        kind: &str,
        table: toml::Table,
    ) -> Result<serde_json::Value, ConfigError> {
        let mut config = serde_json::to_value(table)
            .map_err(|error| self.error("", format!("cannot be handed to the plugin: {error}")))?;
        for (key, value) in config.as_object_mut().into_iter().flatten() {
            if let (true, Some(text)) = (key.ends_with("_file"), value.as_str()) {
                let path = paths::resolve(self.base, Path::new(text));
                *value = path.to_string_lossy().into_owned().into();
            }
        }
        if kind == "exec"
            && let Some(program) = config.pointer_mut("/command/0")
            && let Some(text) = program.as_str().filter(|text| text.contains('/'))
        {
            let path = paths::resolve(self.base, Path::new(text));
            *program = path.to_string_lossy().into_owned().into();
        }
        Ok(config)
    }

    fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let dot = if key.is_empty() { "" } else { "." };
        ConfigError::meaning(self.file, format!("{}{dot}{key}", self.key), message)
    }
}

/// `[a-z][a-z0-9-]{0,31}`; `-` becomes `_` in library and symbol names.
fn is_plugin_name(kind: &str) -> bool {
    kind.len() <= 32
        && kind.starts_with(|c: char| c.is_ascii_lowercase())
        && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
