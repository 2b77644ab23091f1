//! Where configuration files are, and what relative paths in one mean.

use std::env;
use std::path::{Path, PathBuf};

use crate::ConfigError;

/// Finds the configuration file: the named one, else the first that exists of
/// `$XDG_CONFIG_HOME/pgferry/config.toml` (by default below `~/.config`) and
/// `/etc/pgferry/config.toml`.
pub fn search(named: Option<&Path>) -> Result<PathBuf, ConfigError> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let user = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home().map(|home| home.join(".config")));
    let places: Vec<PathBuf> = user
        .into_iter()
        .chain([PathBuf::from("/etc")])
        .map(|directory| directory.join("pgferry/config.toml"))
        .collect();
    places.iter().find(|place| place.exists()).cloned().ok_or(ConfigError::NotFound(places))
}

/// Makes a path of the file absolute: `~/` is the user's home, anything else relative is beside the
/// configuration file, so that it means the same wherever pgferry is started from.
pub(crate) fn resolve(base: &Path, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), home()) {
        (Ok(below), Some(home)) => home.join(below),
        _ => base.join(path),
    }
}

fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_beside_the_file_and_absolute_ones_stay() {
        let base = Path::new("/etc/pgferry");
        assert_eq!(resolve(base, Path::new("ca.pem")), Path::new("/etc/pgferry/ca.pem"));
        assert_eq!(resolve(base, Path::new("/ca.pem")), Path::new("/ca.pem"));
        assert!(resolve(base, Path::new("~/ca.pem")).is_absolute());
        assert!(!resolve(base, Path::new("~/ca.pem")).starts_with(base));
    }

    #[test]
    fn a_named_file_wins() {
        assert_eq!(search(Some(Path::new("x.toml"))).unwrap(), Path::new("x.toml"));
    }
}
