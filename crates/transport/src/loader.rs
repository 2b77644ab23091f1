//! From a name in the configuration to a checked plugin. The only place that loads a library.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use sha2::{Digest as _, Sha256};

use crate::plugin::{Plugin, PluginInfo, PluginSource};
use crate::search::name_in;
use crate::{Entry, InstanceSpec, LoadError, LoadFailure, SearchPath, text, trust};

/// Finds plugins, and loads each library once however many instances it serves.
pub(crate) struct Loader {
    linked: Vec<(&'static str, Entry)>,
    search: SearchPath,
    /// By file, content and name: a library that was replaced on disk is another one.
    loaded: HashMap<(PathBuf, [u8; 32], String), Arc<Plugin>>,
}

impl Loader {
    pub(crate) fn new(linked: &[(&'static str, Entry)], search: SearchPath) -> Self {
        Self { linked: linked.to_vec(), search, loaded: HashMap::new() }
    }

    /// The plugin for an instance: from its path, else linked in, else from the search path.
    pub(crate) fn plugin(&mut self, spec: &InstanceSpec) -> Result<Arc<Plugin>, LoadFailure> {
        let name = plugin_name(&spec.kind)?;
        if let Some(path) = &spec.path {
            return self.load(path, &name, spec.sha256);
        }
        if let Some((_, entry)) = self.linked.iter().find(|(linked, _)| same_name(linked, &name)) {
            return Plugin::from_entry(*entry, &name, PluginSource::Linked)
                .map(Arc::new)
                .map_err(|defect| LoadFailure::Descriptor { name, defect });
        }
        let candidates = self.search.candidates(&name);
        match candidates.iter().find(|candidate| candidate.symlink_metadata().is_ok()) {
            Some(path) => self.load(path, &name, spec.sha256),
            None => Err(self.not_found(name, &candidates)),
        }
    }

    fn not_found(&self, name: String, looked: &[PathBuf]) -> LoadFailure {
        if !self.search.enabled {
            return LoadFailure::LoadingDisabled { name };
        }
        let list = |items: Vec<String>| match items.as_slice() {
            [] => "none".to_owned(),
            items => items.join(", "),
        };
        LoadFailure::NotFound {
            name,
            linked: list(self.linked.iter().map(|(name, _)| (*name).to_owned()).collect()),
            looked: list(looked.iter().map(|path| path.display().to_string()).collect()),
        }
    }

    fn load(
        &mut self,
        path: &Path,
        name: &str,
        pin: Option<[u8; 32]>,
    ) -> Result<Arc<Plugin>, LoadFailure> {
        if !self.search.enabled {
            return Err(LoadFailure::LoadingDisabled { name: name.to_owned() });
        }
        let file = LibraryFile::open(path)?;
        file.matches(pin)?;
        let key = (file.path.clone(), file.sha256, name.to_owned());
        if let Some(plugin) = self.loaded.get(&key) {
            return Ok(Arc::clone(plugin));
        }
        let plugin = Arc::new(file.load(name)?);
        tracing::info!(
            plugin = plugin.info.name, version = plugin.info.version,
            path = %key.0.display(), "plugin loaded"
        );
        self.loaded.insert(key, Arc::clone(&plugin));
        Ok(plugin)
    }
}

/// Loads the plugin in one file, named as its file is, and gives what it says of itself and the JSON
/// Schema of its configuration. Runs the library's own initialisers: for a process made for it.
///
/// **Errors**: as for an instance of that plugin, up to its descriptor.
pub fn inspect(path: &Path) -> Result<(PluginInfo, Option<String>), LoadError> {
    let of = |failure: LoadFailure| failure.of(path.display().to_string());
    let plugin = load_file(path).map_err(of)?;
    Ok((plugin.info.clone(), plugin.schema()))
}

/// Loads the plugin in one file, named as its file is.
pub(crate) fn load_file(path: &Path) -> Result<Plugin, LoadFailure> {
    let name = name_of(path)?;
    LibraryFile::open(path)?.load(&name)
}

/// The plugin that a file's name promises.
pub(crate) fn name_of(path: &Path) -> Result<String, LoadFailure> {
    name_in(path)
        .ok_or_else(|| LoadFailure::BadKind { kind: path.display().to_string() })
        .and_then(plugin_name)
}

/// A library file that nobody but root and the user can have put there.
pub(crate) struct LibraryFile {
    path: PathBuf,
    file: File,
    sha256: [u8; 32],
}

impl LibraryFile {
    /// Opens and checks the file. Everything after is about the descriptor, not about the path.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadFailure> {
        if runs_with_anothers_rights() {
            return Err(LoadFailure::SetUid);
        }
        if !path.is_absolute() {
            return Err(LoadFailure::RelativePath { path: path.to_path_buf() });
        }
        let unreadable = |source| LoadFailure::Unreadable { path: path.to_path_buf(), source };
        let resolved = path.canonicalize().map_err(unreadable)?;
        let mut file = File::options()
            .read(true)
            // A pipe in the file's place must not hold the start up.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&resolved)
            .map_err(unreadable)?;
        trust::check(&resolved, &file.metadata().map_err(unreadable)?)?;
        let sha256 = digest(&mut file).map_err(unreadable)?;
        Ok(Self { path: resolved, file, sha256 })
    }

    fn matches(&self, pin: Option<[u8; 32]>) -> Result<(), LoadFailure> {
        match pin {
            Some(pin) if pin != self.sha256 => Err(LoadFailure::Digest {
                path: self.path.clone(),
                wanted: hex(&pin),
                got: hex(&self.sha256),
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn load(&self, name: &str) -> Result<Plugin, LoadFailure> {
        let entry = self.entry(name)?;
        let source = PluginSource::Loaded { path: self.path.clone(), sha256: self.sha256 };
        Plugin::from_entry(entry, name, source)
            .map_err(|defect| LoadFailure::Descriptor { name: name.to_owned(), defect })
    }

    /// Maps the library, for ever, and finds the plugin's entry in it.
    fn entry(&self, name: &str) -> Result<Entry, LoadFailure> {
        let library = self.map()?;
        let symbol = format!("pgferry_transport_{name}_v1");
        // SAFETY: the contract gives the symbol of that name this type.
        #[expect(unsafe_code, reason = "a symbol has no type")]
        let found = unsafe { library.get::<Entry>(symbol.as_str()) }.map(|entry| *entry);
        // Never unloaded: its threads and thread-local destructors may live as long as the process.
        std::mem::forget(library);
        found.map_err(|error| LoadFailure::NoSymbol {
            path: self.path.clone(),
            symbol,
            reason: text::chain(&error),
        })
    }

    /// Loads the library, for ever.
    pub(crate) fn load_for_good(&self) -> Result<(), LoadFailure> {
        self.map().map(std::mem::forget)
    }

    /// `RTLD_NOW`: an undefined function is an error now, not a crash at its first call.
    fn map(&self) -> Result<Library, LoadFailure> {
        let name = self.name_to_load()?;
        // SAFETY: runs the library's initialisers. The configuration asked for this library, and
        // nobody else could have changed it; more cannot be known about it.
        #[expect(unsafe_code, reason = "the one dlopen")]
        let library = unsafe { Library::open(Some(&name), RTLD_NOW | RTLD_LOCAL) };
        library.map_err(|error| LoadFailure::Dlopen {
            path: self.path.clone(),
            reason: text::chain(&error),
        })
    }

    /// On Linux the checked file itself, whatever has become of its path. The loader remembers
    /// libraries by the name they were opened with, so the number must never be used for another
    /// library: the descriptor stays open for good.
    fn name_to_load(&self) -> Result<PathBuf, LoadFailure> {
        let unreadable = |source| LoadFailure::Unreadable { path: self.path.clone(), source };
        if cfg!(target_os = "linux") {
            let kept = self.file.try_clone().map_err(unreadable)?;
            let name = PathBuf::from(format!("/proc/self/fd/{}", kept.as_raw_fd()));
            std::mem::forget(kept);
            return Ok(name);
        }
        let (now, then) = (self.path.symlink_metadata(), self.file.metadata());
        let (now, then) = (now.map_err(unreadable)?, then.map_err(unreadable)?);
        if (now.dev(), now.ino()) == (then.dev(), then.ino()) {
            Ok(self.path.clone())
        } else {
            Err(LoadFailure::Replaced { path: self.path.clone() })
        }
    }
}

/// The plugin that a configured kind means. `-` stands for `_`, which symbols need.
pub(crate) fn plugin_name(kind: &str) -> Result<String, LoadFailure> {
    let name = kind.replace('-', "_");
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let fits = name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(letters);
    if fits { Ok(name) } else { Err(LoadFailure::BadKind { kind: kind.to_owned() }) }
}

fn same_name(linked: &str, name: &str) -> bool {
    linked.replace('-', "_") == name
}

/// A set-uid program would load its caller's code with its own rights.
fn runs_with_anothers_rights() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

fn digest(file: &mut File) -> std::io::Result<[u8; 32]> {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(digest.finalize().into());
        }
        digest.update(chunk.get(..read).unwrap_or_default());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_in_a_kind_is_an_underscore_in_the_plugin() {
        assert_eq!(plugin_name("data-api").unwrap(), "data_api");
    }

    #[test]
    fn a_kind_that_could_leave_the_plugin_directory_is_refused() {
        for kind in ["", "../ssh", "Ssh", "1ssh", "-ssh", "a/b", &"a".repeat(33)] {
            assert!(plugin_name(kind).is_err(), "{kind:?} was taken");
        }
    }
}
