//! What paths in a configuration file mean, and whether they stay in its directory.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Makes a path of the file absolute: `~/` is the user's home, anything else relative is beside the
/// configuration file, so that it means the same wherever pgferry is started from.
pub(crate) fn resolve(base: &Path, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), home()) {
        (Ok(below), Some(home)) => home.join(below),
        _ => base.join(path),
    }
}

/// Where the local CA is kept: `$XDG_DATA_HOME/pgferry/local-ca`, by default below `~/.local/share`.
/// `None` if neither is known.
pub fn local_ca() -> Option<PathBuf> {
    env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home().map(|home| home.join(".local/share")))
        .map(|data| data.join("pgferry/local-ca"))
}

/// libpq's password file: `PGPASSFILE`, by default `~/.pgpass`. `None` if neither is known.
pub(crate) fn pgpass() -> Option<PathBuf> {
    let named = env::var_os("PGPASSFILE").filter(|name| !name.is_empty());
    named.map(PathBuf::from).or_else(|| home().map(|home| home.join(".pgpass")))
}

pub(crate) fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

/// Whether an absolute path stays below the directory of the configuration file, links followed.
/// Nothing stays in a directory that holds the user's home: what is there came from everywhere.
pub(crate) fn inside(tree: &Path, path: &Path) -> bool {
    let Ok(tree) = tree.canonicalize() else { return false };
    let home = home().and_then(|home| home.canonicalize().ok());
    if home.is_some_and(|home| home.starts_with(&tree)) {
        return false;
    }
    let existing = path.ancestors().find(|above| fs::symlink_metadata(above).is_ok());
    let Some(existing) = existing else { return false };
    let tail = path.strip_prefix(existing).unwrap_or(path);
    // A link that leads nowhere yet cannot be followed: it counts as outside, and so does `..`
    // behind a directory that is still to come.
    existing.canonicalize().is_ok_and(|real| real.starts_with(&tree))
        && tail.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn relative_paths_are_beside_the_file_and_absolute_ones_stay() {
        let base = Path::new("/etc/pgferry");
        assert_eq!(resolve(base, Path::new("ca.pem")), Path::new("/etc/pgferry/ca.pem"));
        assert_eq!(resolve(base, Path::new("/ca.pem")), Path::new("/ca.pem"));
    }

    #[test]
    fn a_path_that_leaves_the_directory_in_any_way_is_outside() {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().join("tree");
        fs::create_dir_all(tree.join("keys")).unwrap();
        fs::write(root.path().join("outer"), "").unwrap();
        fs::write(tree.join("keys/id"), "").unwrap();
        symlink(root.path().join("outer"), tree.join("link")).unwrap();
        symlink(root.path(), tree.join("up")).unwrap();
        symlink(root.path().join("later"), tree.join("dangling")).unwrap();
        symlink(tree.join("keys"), tree.join("here")).unwrap();
        for within in ["keys/id", "keys/later", "here/id", "keys/../keys/id", "new/dir/file"] {
            assert!(inside(&tree, &tree.join(within)), "{within}");
        }
        for beyond in
            ["../outer", "link", "up/outer", "dangling", "keys/../../outer", "new/../../x"]
        {
            assert!(!inside(&tree, &tree.join(beyond)), "{beyond}");
        }
        assert!(!inside(&tree, Path::new("/etc/passwd")));
        // The name of the tree as the beginning of another's.
        assert!(!inside(&tree, &root.path().join("tree2/x")));
    }

    #[test]
    fn nothing_is_inside_a_directory_that_holds_the_home() {
        let Some(home) = home().and_then(|home| home.canonicalize().ok()) else { return };
        assert!(!inside(&home, &home.join(".ssh/id_ed25519")));
        assert!(!inside(Path::new("/"), &home.join(".ssh/id_ed25519")));
    }
}
