//! Which configuration file counts: the named one, the repository's, the user's, the system's.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::ConfigError;
use crate::paths;

/// What the file of a repository is called.
pub const REPOSITORY_FILE: &str = ".pgferry.toml";

/// How a file was found, which decides what it may do unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A person named it, with `--config` or `PGFERRY_CONFIG`: that is trust enough.
    Named,
    /// It lay in the working directory or above. Whoever filled that directory wrote it.
    Repository,
    /// The user's own.
    User,
    /// The system's.
    System,
}

impl Place {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Repository => "repository",
            Self::User => "user",
            Self::System => "system",
        }
    }
}

/// A place that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which kind of place.
    pub place: Place,
    /// The file that would be there.
    pub file: PathBuf,
    /// Whether it is.
    pub exists: bool,
}

/// The file that counts. Made by searching alone, so that nobody can read a repository's file as if
/// a person had named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    place: Place,
    file: PathBuf,
    passed_over: Vec<Candidate>,
}

impl Found {
    /// Where it was found.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The file, as it was named or found.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The other places, in the order of their precedence: not there, or there and not needed.
    pub fn passed_over(&self) -> &[Candidate] {
        &self.passed_over
    }

    /// A file that a person names, but as one that lay there: whoever wants to trust it has to see
    /// what it asks for.
    pub fn of_repository(file: &Path) -> Self {
        Self { place: Place::Repository, file: file.to_owned(), passed_over: Vec::new() }
    }

    /// The one file that nobody has to search for.
    pub(crate) fn named(file: &Path) -> Self {
        Self { place: Place::Named, file: file.to_owned(), passed_over: Vec::new() }
    }
}

/// Finds the configuration file: the named one, else the first that exists of `.pgferry.toml` in the
/// working directory and above it, `$XDG_CONFIG_HOME/pgferry/config.toml` (by default below
/// `~/.config`) and `/etc/pgferry/config.toml`.
///
/// Upwards it goes as far as git does when it looks for a repository: not beyond the root and not
/// onto another file system. The home directory is the last one looked at, because what is above
/// it belongs to somebody else.
///
/// # Errors
///
/// None of these files exists; the user has to write or name one.
pub fn search(named: Option<&Path>) -> Result<Found, ConfigError> {
    if let Some(named) = named.filter(|named| !named.as_os_str().is_empty()) {
        let mut found = Found::named(named);
        found.passed_over = unnamed();
        return Ok(found);
    }
    choose(unnamed())
}

/// Finds the repository's file alone, as [`search`] would if no file was named.
///
/// # Errors
///
/// There is none.
pub fn search_repository() -> Result<Found, ConfigError> {
    choose(repository())
}

fn choose(mut candidates: Vec<Candidate>) -> Result<Found, ConfigError> {
    let Some(chosen) = candidates.iter().position(|candidate| candidate.exists) else {
        return Err(ConfigError::NotFound(candidates));
    };
    let Candidate { place, file, .. } = candidates.remove(chosen);
    Ok(Found { place, file, passed_over: candidates })
}

fn unnamed() -> Vec<Candidate> {
    let user = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| paths::home().map(|home| home.join(".config")));
    let user = user.map(|directory| (Place::User, directory));
    let others = user.into_iter().chain([(Place::System, PathBuf::from("/etc"))]);
    let others = others.map(|(place, directory)| look(place, &directory, "pgferry/config.toml"));
    repository().into_iter().chain(others).collect()
}

/// The working directory and those above, up to the first that has the file.
fn repository() -> Vec<Candidate> {
    let Ok(here) = env::current_dir() else { return Vec::new() };
    upwards(&here, paths::home().and_then(|home| home.canonicalize().ok()).as_deref())
}

fn upwards(here: &Path, home: Option<&Path>) -> Vec<Candidate> {
    let device = |directory: &Path| fs::metadata(directory).ok().map(|metadata| metadata.dev());
    let start = device(here);
    let mut candidates = Vec::new();
    for directory in here.ancestors().take_while(|above| device(above) == start) {
        let candidate = look(Place::Repository, directory, REPOSITORY_FILE);
        let last = candidate.exists || Some(directory) == home;
        candidates.push(candidate);
        if last {
            break;
        }
    }
    candidates
}

fn look(place: Place, directory: &Path, name: &str) -> Candidate {
    let file = directory.join(name);
    // A link that leads nowhere is there too: it is told about, and not silently passed over.
    let exists = fs::symlink_metadata(&file).is_ok();
    Candidate { place, file, exists }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_wins_and_an_empty_name_is_none() {
        let found = search(Some(Path::new("x.toml"))).unwrap();
        assert_eq!((found.place(), found.file()), (Place::Named, Path::new("x.toml")));
        let empty = search(Some(Path::new("")));
        assert!(empty.is_ok_and(|found| found.place() != Place::Named) || !has_any());
    }

    fn has_any() -> bool {
        unnamed().iter().any(|candidate| candidate.exists)
    }

    #[test]
    fn the_nearest_file_upwards_is_the_last_one_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let deep = root.join("repository/crates/deep");
        fs::create_dir_all(&deep).unwrap();
        for directory in [&root, &root.join("repository")] {
            fs::write(directory.join(REPOSITORY_FILE), "").unwrap();
        }
        let looked = upwards(&deep, None);
        let wanted: Vec<_> = ["repository/crates/deep", "repository/crates", "repository"]
            .map(|below| root.join(below).join(REPOSITORY_FILE))
            .into();
        assert_eq!(looked.iter().map(|c| c.file.clone()).collect::<Vec<_>>(), wanted);
        assert_eq!(choose(looked).unwrap().file(), wanted[2]);
    }

    #[test]
    fn nothing_above_the_home_directory_is_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().canonicalize().unwrap().join("home/jo");
        let deep = home.join("work/project");
        fs::create_dir_all(&deep).unwrap();
        let looked = upwards(&deep, Some(&home));
        assert_eq!(looked.len(), 3);
        assert_eq!(looked[2].file, home.join(REPOSITORY_FILE));
    }

    #[test]
    fn another_file_system_is_not_entered() {
        let looked = upwards(Path::new("/proc/self"), None);
        assert!(looked.iter().all(|candidate| candidate.file.starts_with("/proc")), "{looked:?}");
    }
}
