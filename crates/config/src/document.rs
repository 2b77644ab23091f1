//! A configuration file as it was read, once: what is hashed, shown and run are the same bytes.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use toml::de::DeTable;
use zeroize::Zeroizing;

use crate::entry::{self, Entry};
use crate::error::ConfigError;
use crate::plan::Plan;
use crate::power::{self, Power};
use crate::schema;
use crate::search::{Found, Place};
use crate::setting::{self, Setting};
use crate::trust::{Trust, TrustStore, identity};

/// More than any configuration has: a file of a repository that is longer is refused.
const LONGEST: u64 = 1 << 20;

/// A file that is well formed, and what it asks for. Only one that is trusted becomes a [`Plan`].
#[derive(Debug)]
pub struct Document {
    /// Given out if the trust suffices, and not before.
    plan: Plan,
    entries: Vec<Entry>,
    powers: Vec<Power>,
    sha256: String,
    /// The name it is trusted under.
    identity: PathBuf,
    trust: Trust,
}

impl Document {
    /// Reads a file and asks the user's record whether it is trusted.
    ///
    /// # Errors
    ///
    /// The file cannot be read, cannot be run as it is, or belongs to another user: the
    /// user's to mend.
    pub fn read(found: &Found) -> Result<Self, ConfigError> {
        Self::read_with(found, TrustStore::of_user().as_ref())
    }

    pub(crate) fn read_with(
        found: &Found,
        store: Option<&TrustStore>,
    ) -> Result<Self, ConfigError> {
        let file = found.file();
        let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
        let text = match found.place() {
            Place::Repository => of_repository(file)?,
            Place::Named | Place::User | Place::System => {
                fs::read_to_string(file).map(Zeroizing::new).map_err(unreadable)?
            }
        };
        let syntax = |error| ConfigError::syntax(file, &text, &error);
        let table = DeTable::parse(&text).map_err(syntax)?;
        let entries = entry::entries(&text, table.get_ref());
        let schema: schema::File =
            serde_path_to_error::deserialize(toml::Deserializer::from(table))
                .map_err(|error| ConfigError::schema(file, &text, &error))?;
        let identity = identity(file).map_err(unreadable)?;
        let tree = identity.parent().unwrap_or(&identity);
        let powers = match found.place() {
            Place::Repository => power::powers(&entries, tree),
            Place::Named | Place::User | Place::System => Vec::new(),
        };
        let sha256 = hex(&Sha256::digest(text.as_bytes()));
        let trust = match store {
            _ if powers.is_empty() => Trust::NotNeeded,
            Some(store) => store.verdict(&identity, &sha256)?,
            None => Trust::Missing,
        };
        let plan = Plan::resolve(found, schema)?;
        Ok(Self { plan, entries, powers, sha256, identity, trust })
    }

    /// The file, with its directory's real name.
    pub fn file(&self) -> &Path {
        &self.identity
    }

    /// How it was found.
    pub fn found(&self) -> &Found {
        &self.plan.found
    }

    /// What it asks for beyond connecting; nothing, unless it came with a repository.
    pub fn powers(&self) -> &[Power] {
        &self.powers
    }

    /// Whether it may do what it asks for.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Records that the person agrees to what was read here.
    ///
    /// # Errors
    ///
    /// The record cannot be written.
    pub fn agree(&self, store: &TrustStore) -> Result<(), ConfigError> {
        store.add(&self.identity, &self.sha256)
    }

    /// Every setting in force with where it comes from. Secrets are masked; variables and files are
    /// looked at, not read.
    pub fn settings(&self) -> Vec<Setting> {
        setting::settings(&self.entries, &self.plan)
    }

    /// Checks all that can be without using what the file asks for: that the files and variables it
    /// names are there.
    ///
    /// # Errors
    ///
    /// What a run would refuse.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.plan.clone().select(&[]).map(drop)
    }

    /// What to run.
    ///
    /// # Errors
    ///
    /// The file is not trusted: the user's to mend.
    pub fn plan(self) -> Result<Plan, ConfigError> {
        if self.trust.suffices() { Ok(self.plan) } else { Err(self.untrusted()) }
    }

    /// The refusal of a file that is not trusted.
    pub fn untrusted(&self) -> ConfigError {
        ConfigError::Untrusted {
            file: self.identity.clone(),
            changed: self.trust == Trust::Changed,
            powers: self.powers.clone(),
        }
    }
}

/// The text of a file that just lay there: the user's own or root's, of usual kind and length. Owner and content are
/// those of one open file.
fn of_repository(file: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
    let wrong = |message: &str| unreadable(io::Error::new(io::ErrorKind::InvalidData, message));
    let link = fs::symlink_metadata(file).map_err(unreadable)?;
    // A FIFO would keep the opening waiting.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let open = File::options().read(true).custom_flags(flags).open(file).map_err(unreadable)?;
    let metadata = open.metadata().map_err(unreadable)?;
    for uid in [link.uid(), metadata.uid()] {
        if uid != 0 && uid != rustix::process::geteuid().as_raw() {
            return Err(ConfigError::Foreign { file: file.to_owned(), uid });
        }
    }
    if !metadata.is_file() {
        return Err(wrong("is no regular file"));
    }
    let mut text = Zeroizing::new(String::new());
    open.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LONGEST {
        return Err(wrong("is longer than 1 MiB"));
    }
    Ok(text)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

#[cfg(test)]
mod tests;
