//! Whether a plugin file can have been put there by somebody without the rights of this process.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::LoadFailure;

/// Judges the opened file and every directory above it. `path` has no links in it.
pub(crate) fn check(path: &Path, file: &Metadata) -> Result<(), LoadFailure> {
    if !file.is_file() {
        return Err(LoadFailure::NotAFile { path: path.to_path_buf() });
    }
    let user = rustix::process::geteuid().as_raw();
    judge(Entry::of(file, Place::File), user).map_err(|fault| refusal(path, path, &fault, user))?;
    for parent in path.ancestors().skip(1) {
        let meta = parent
            .symlink_metadata()
            .map_err(|source| LoadFailure::Unreadable { path: parent.to_path_buf(), source })?;
        judge(Entry::of(&meta, Place::Directory), user)
            .map_err(|fault| refusal(path, parent, &fault, user))?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Entry {
    owner: u32,
    mode: u32,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    Directory,
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Owner(u32),
    Writable(u32),
}

impl Entry {
    fn of(meta: &Metadata, place: Place) -> Self {
        Self { owner: meta.uid(), mode: meta.mode(), place }
    }
}

/// Root may change anything anyway, and the user may attach a debugger; nobody else may write.
fn judge(entry: Entry, user: u32) -> Result<(), Fault> {
    if entry.owner != 0 && entry.owner != user {
        return Err(Fault::Owner(entry.owner));
    }
    // In root's sticky directory (the system's temporary one) only the owner can replace an entry.
    let sticky = entry.place == Place::Directory && entry.owner == 0 && entry.mode & 0o1000 != 0;
    if entry.mode & 0o022 != 0 && !sticky {
        return Err(Fault::Writable(entry.mode & 0o7777));
    }
    Ok(())
}

fn refusal(plugin: &Path, path: &Path, fault: &Fault, user: u32) -> LoadFailure {
    let quoted = quote(path);
    let (fault, remedy) = match fault {
        Fault::Owner(owner) => (
            format!("belongs to user {owner}, not to root or to the user {user} that runs this"),
            format!("chown {user} {quoted}"),
        ),
        Fault::Writable(mode) => {
            (format!("can be written by others (mode {mode:04o})"), format!("chmod go-w {quoted}"))
        }
    };
    LoadFailure::Untrusted { plugin: plugin.to_path_buf(), path: path.to_path_buf(), fault, remedy }
}

/// The path as a shell takes it.
fn quote(path: &Path) -> String {
    format!("'{}'", PathBuf::from(path).display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(owner: u32, mode: u32) -> Result<(), Fault> {
        judge(Entry { owner, mode, place: Place::File }, 1000)
    }

    fn directory(owner: u32, mode: u32) -> Result<(), Fault> {
        judge(Entry { owner, mode, place: Place::Directory }, 1000)
    }

    #[test]
    fn root_and_the_user_are_trusted() {
        assert_eq!(file(0, 0o755), Ok(()));
        assert_eq!(file(1000, 0o644), Ok(()));
        assert_eq!(file(1001, 0o644), Err(Fault::Owner(1001)));
    }

    #[test]
    fn others_must_not_write() {
        assert_eq!(file(0, 0o775), Err(Fault::Writable(0o775)));
        assert_eq!(directory(1000, 0o777), Err(Fault::Writable(0o777)));
    }

    #[test]
    fn only_roots_sticky_directory_may_be_written_by_others() {
        assert_eq!(directory(0, 0o1777), Ok(()));
        assert_eq!(directory(1000, 0o1777), Err(Fault::Writable(0o1777)));
        assert_eq!(file(0, 0o1777), Err(Fault::Writable(0o1777)));
    }

    #[test]
    fn the_remedy_can_be_pasted_into_a_shell() {
        let refusal = refusal(Path::new("/p/x.so"), Path::new("/it's"), &Fault::Writable(0o777), 0);
        assert!(refusal.to_string().ends_with(r"try: chmod go-w '/it'\''s'"), "{refusal}");
    }
}
