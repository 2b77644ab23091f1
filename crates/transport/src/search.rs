//! The directories in which plugins are looked for.

use std::path::{Path, PathBuf};

/// Where plugins are looked for when the configuration names one without a path and none of that
/// name is linked into the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPath {
    /// The directories, first to last. A relative one is skipped: what it means would depend on
    /// where the program was started.
    pub dirs: Vec<PathBuf>,
    /// Whether libraries may be loaded at all, from wherever.
    pub enabled: bool,
}

impl SearchPath {
    /// The usual directories: `extra` (the command line's), `$PGFERRY_PLUGIN_PATH`,
    /// `$XDG_DATA_HOME/pgferry/plugins` and `../lib/pgferry/plugins` beside the program.
    pub fn from_env(extra: Vec<PathBuf>) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let mut dirs = extra;
        if let Some(list) = variable("PGFERRY_PLUGIN_PATH") {
            dirs.extend(std::env::split_paths(&list));
        }
        let data = variable("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
        dirs.extend(data.map(|data| data.join("pgferry/plugins")));
        let program = std::env::current_exe().ok();
        let prefix = program.as_deref().and_then(Path::parent).and_then(Path::parent);
        dirs.extend(prefix.map(|prefix| prefix.join("lib/pgferry/plugins")));
        Self { dirs, enabled: true }
    }

    /// Only these directories.
    pub fn only(dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { dirs: dirs.into_iter().collect(), enabled: true }
    }

    /// No loading: what is not linked in does not exist.
    pub fn disabled() -> Self {
        Self { dirs: Vec::new(), enabled: false }
    }

    /// The files that could be the plugin `name`, in the order to try them.
    pub(crate) fn candidates(&self, name: &str) -> Vec<PathBuf> {
        let file = format!("{PREFIX}{name}{SUFFIX}");
        self.dirs.iter().filter(|dir| dir.is_absolute()).map(|dir| dir.join(&file)).collect()
    }
}

/// The plugin name in a library's file name, if it has the form that plugins have.
pub(crate) fn name_in(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}

const PREFIX: &str = "libpgferry_transport_";
const SUFFIX: &str = if cfg!(target_os = "macos") { ".dylib" } else { ".so" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_directories_are_not_searched() {
        let search = SearchPath::only(["/opt/plugins".into(), "plugins".into()]);
        assert_eq!(
            search.candidates("ssh"),
            [PathBuf::from(format!("/opt/plugins/libpgferry_transport_ssh{SUFFIX}"))]
        );
    }

    #[test]
    fn the_plugin_name_is_read_back_from_the_file_name() {
        let [file] = &SearchPath::only(["/p".into()]).candidates("data_api")[..] else {
            panic!("one directory gives one candidate")
        };
        assert_eq!(name_in(file), Some("data_api"));
        assert_eq!(name_in(Path::new("/p/libssh.so")), None);
    }
}
