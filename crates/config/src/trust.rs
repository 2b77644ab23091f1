//! Which files of repositories the person has agreed to, and with which content.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::paths;

/// How often, and how long each time, another writer is waited for.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Whether a file may use its powers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It asks for none, or was named by a person, or is the user's or the system's own.
    NotNeeded,
    /// The person has agreed to this very content.
    Given,
    /// The person has agreed to another content of this file.
    Changed,
    /// Nobody has agreed to it.
    Missing,
}

impl Trust {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotNeeded => "not-needed",
            Self::Given => "given",
            Self::Changed => "changed",
            Self::Missing => "missing",
        }
    }

    /// Whether the file may run.
    pub fn suffices(self) -> bool {
        matches!(self, Self::NotNeeded | Self::Given)
    }
}

/// The record of trusted files: `$XDG_STATE_HOME/pgferry/trusted.toml`, by default below
/// `~/.local/state`.
#[derive(Clone, Debug)]
pub struct TrustStore {
    file: PathBuf,
}

/// The file, letter for letter: SHA-256 by path.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(default)]
    files: BTreeMap<String, String>,
}

impl TrustStore {
    /// The user's own. `None` where there is no home to keep it in: then nothing is trusted.
    pub fn of_user() -> Option<Self> {
        let state = env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| paths::home().map(|home| home.join(".local/state")))?;
        Some(Self::at(state.join("pgferry/trusted.toml")))
    }

    pub(crate) fn at(file: PathBuf) -> Self {
        Self { file }
    }

    /// The file of the record.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The trusted files, with the SHA-256 that was agreed to.
    ///
    /// # Errors
    ///
    /// The record cannot be read or is not the user's own.
    pub fn list(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        Ok(self.read()?.files)
    }

    pub(crate) fn verdict(&self, identity: &Path, sha256: &str) -> Result<Trust, ConfigError> {
        let record = self.read()?;
        let agreed = identity.to_str().and_then(|path| record.files.get(path));
        Ok(match agreed {
            None => Trust::Missing,
            Some(agreed) if agreed == sha256 => Trust::Given,
            Some(_) => Trust::Changed,
        })
    }

    pub(crate) fn add(&self, identity: &Path, sha256: &str) -> Result<(), ConfigError> {
        let Some(path) = identity.to_str() else {
            return Err(self.error(format!("{}: the path is not UTF-8", identity.display())));
        };
        self.change(|files| files.insert(path.to_owned(), sha256.to_owned())).map(drop)
    }

    /// Takes a file out; whether it was there.
    ///
    /// # Errors
    ///
    /// The record cannot be read or written.
    pub fn remove(&self, file: &Path) -> Result<bool, ConfigError> {
        let identity = identity(file).map_err(|error| self.error(error.to_string()))?;
        let path = identity.to_string_lossy().into_owned();
        if !self.read()?.files.contains_key(&path) {
            return Ok(false);
        }
        self.change(|files| files.remove(&path)).map(|was| was.is_some())
    }

    /// Changes the record as a whole: others see the old one or the new one.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> T,
    ) -> Result<T, ConfigError> {
        let said = |error: io::Error| self.error(error.to_string());
        let directory = self.file.parent().unwrap_or(&self.file);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(said)?;
        let _lock = self.lock(directory)?;
        let mut record = self.read()?;
        let outcome = change(&mut record.files);
        let text = toml::to_string(&record).map_err(|error| self.error(error.to_string()))?;
        // Made with mode 0600.
        let mut new = tempfile::NamedTempFile::new_in(directory).map_err(said)?;
        new.write_all(text.as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(said)?;
        new.persist(&self.file).map_err(|error| said(error.error))?;
        Ok(outcome)
    }

    /// Keeps other writers out until it is dropped. The lock has a file of its own, because the
    /// record is replaced.
    fn lock(&self, directory: &Path) -> Result<File, ConfigError> {
        let said = |error: io::Error| self.error(error.to_string());
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(directory.join("trusted.lock")).map_err(said)?;
        for _ in 0..ATTEMPTS {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::Error(error)) => return Err(said(error)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
        Err(self.error(format!(
            "another pgferry has kept it locked for {:?}; end that one",
            PAUSE * ATTEMPTS
        )))
    }

    /// The record; an empty one if there is no file yet.
    fn read(&self) -> Result<Record, ConfigError> {
        let mut file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Record::default()),
            Err(error) => return Err(self.error(error.to_string())),
        };
        let said = |error: io::Error| self.error(error.to_string());
        let metadata = file.metadata().map_err(said)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            let message =
                "others can write to it, so it says nothing about whom you trust; remove it";
            return Err(self.error(message.to_owned()));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(said)?;
        toml::from_str(&text).map_err(|error| self.error(error.message().to_owned()))
    }

    fn error(&self, message: String) -> ConfigError {
        ConfigError::TrustStore { file: self.file.clone(), message }
    }
}

/// Under which name a file is trusted: its real directory and its own name. A link in the last place
/// is not followed, because relative paths count from the directory the link is in: the same
/// content means something else there.
pub(crate) fn identity(file: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(file)?;
    let (Some(directory), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is a directory"));
    };
    match directory.canonicalize() {
        Ok(real) => Ok(real.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(absolute),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn store() -> (tempfile::TempDir, TrustStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = TrustStore::at(directory.path().join("new/pgferry/trusted.toml"));
        (directory, store)
    }

    #[test]
    fn what_was_agreed_to_is_this_content_of_this_file() {
        let (_directory, store) = store();
        let (file, other) = (Path::new("/r/.pgferry.toml"), Path::new("/s/.pgferry.toml"));
        assert_eq!(store.verdict(file, "aa").unwrap(), Trust::Missing);
        store.add(file, "aa").unwrap();
        assert_eq!(store.verdict(file, "aa").unwrap(), Trust::Given);
        assert_eq!(store.verdict(file, "bb").unwrap(), Trust::Changed);
        assert_eq!(store.verdict(other, "aa").unwrap(), Trust::Missing);
        store.add(file, "bb").unwrap();
        assert_eq!(store.verdict(file, "aa").unwrap(), Trust::Changed);
        assert!(store.remove(file).unwrap());
        assert!(!store.remove(file).unwrap());
        assert_eq!(store.verdict(file, "bb").unwrap(), Trust::Missing);
        let mode = fs::metadata(store.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let (_directory, store) = store();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let store = &store;
                let file = PathBuf::from(format!("/r{writer}/.pgferry.toml"));
                scope.spawn(move || store.add(&file, "aa").unwrap());
            }
        });
        assert_eq!(store.list().unwrap().len(), 8);
    }

    #[test]
    fn a_record_that_others_can_write_to_says_nothing() {
        let (_directory, store) = store();
        store.add(Path::new("/r/.pgferry.toml"), "aa").unwrap();
        fs::set_permissions(store.file(), fs::Permissions::from_mode(0o622)).unwrap();
        let error = store.verdict(Path::new("/r/.pgferry.toml"), "aa").unwrap_err();
        assert!(error.to_string().contains("others can write to it"), "{error}");
    }

    #[test]
    fn a_link_to_a_trusted_file_is_another_file() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let (good, evil) = (root.join("good"), root.join("evil"));
        fs::create_dir_all(&good).unwrap();
        fs::create_dir_all(&evil).unwrap();
        fs::write(good.join("f"), "").unwrap();
        symlink(good.join("f"), evil.join("f")).unwrap();
        symlink(&good, root.join("same")).unwrap();
        assert_eq!(identity(&evil.join("f")).unwrap(), evil.join("f"));
        assert_eq!(identity(&root.join("same/f")).unwrap(), good.join("f"));
    }
}
