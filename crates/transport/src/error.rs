//! Why an instance could not be made, and why an open failed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::Status;

/// An instance could not be made. Stops the start: a proxy without one of its ways is not what was
/// configured.
#[derive(Debug, thiserror::Error)]
#[error("transport {instance}: {reason}")]
pub struct LoadError {
    /// The instance, by its configured name; a plugin's path where there is no instance.
    pub instance: String,
    /// What went wrong.
    #[source]
    pub reason: LoadFailure,
}

/// What can go wrong between a name in the configuration and a ready instance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadFailure {
    /// The configuration names two instances alike.
    #[error("there are two transports of that name")]
    Duplicate,
    /// The configuration: no plugin can have that name.
    #[error(
        "\"{kind}\" cannot be a transport's kind: lower-case letters, digits and '-' only, starting with a letter, 32 at most"
    )]
    BadKind {
        /// The kind as configured.
        kind: String,
    },
    /// The configuration: what is built in takes no `path`.
    #[error("{kind} is built in: it has no plugin, so `path` and `sha256` do not apply")]
    BuiltInWithPath {
        /// `direct` or `exec`.
        kind: String,
    },
    /// The configuration: `direct` has no keys of its own.
    #[error("unknown field `{key}`: direct has no keys of its own")]
    DirectWithKey {
        /// The first one.
        key: String,
    },
    /// The configuration: `via` names nothing.
    #[error("via names \"{via}\", which is not a transport")]
    UnknownVia {
        /// The name.
        via: String,
    },
    /// The configuration: `via` leads back to where it started.
    #[error("via goes in a circle: {}", circle.join(" -> "))]
    ViaCircle {
        /// The instances passed, the first one again at the end.
        circle: Vec<String>,
    },
    /// The configuration: too many instances on top of each other.
    #[error("via is {depth} deep; at most {limit} transports may lie on top of each other")]
    ViaTooDeep {
        /// Instances from this one to the last.
        depth: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The configuration: the plugin makes its own sockets, which would bypass the tunnel.
    #[error("{kind} makes its own sockets, so it cannot run via another transport")]
    ViaUnsupported {
        /// The plugin.
        kind: String,
    },
    /// The configuration: the lower transport carries no bytes.
    #[error("via names \"{via}\", which speaks PostgreSQL itself and carries nothing else")]
    ViaSpeaksPostgres {
        /// The name.
        via: String,
    },
    /// Loading is switched off, and the plugin is not linked in.
    #[error(
        "the plugin {name} is not linked into this program, and loading plugins is switched off"
    )]
    LoadingDisabled {
        /// The plugin.
        name: String,
    },
    /// No such plugin.
    #[error(
        "there is no plugin {name}: not linked in ({linked}), and none of these exists: {looked}"
    )]
    NotFound {
        /// The plugin.
        name: String,
        /// The ones linked in.
        linked: String,
        /// The files looked for.
        looked: String,
    },
    /// The process runs with somebody else's rights.
    #[error("a set-uid or set-gid program loads no plugins")]
    SetUid,
    /// The configuration: where a relative path leads depends on where the program was started.
    #[error("the plugin's path {path} is not absolute")]
    RelativePath {
        /// The path.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the plugin {path}")]
    Unreadable {
        /// The file or a directory above it.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a file.
    #[error("the plugin {path} is not a regular file")]
    NotAFile {
        /// The path, links resolved.
        path: PathBuf,
    },
    /// Somebody else could change the plugin, or put another in its place.
    #[error("the plugin {plugin} is refused: {path} {fault}; try: {remedy}")]
    Untrusted {
        /// The plugin.
        plugin: PathBuf,
        /// The file or directory at fault.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
        /// The command that would help.
        remedy: String,
    },
    /// Not the file that was pinned.
    #[error("the plugin {path} has the sha256 {got}, but {wanted} is configured")]
    Digest {
        /// The path.
        path: PathBuf,
        /// The configured digest.
        wanted: String,
        /// The file's.
        got: String,
    },
    /// Not the file that was checked: something replaced it in between.
    #[error("the plugin {path} was replaced while it was being loaded")]
    Replaced {
        /// The path.
        path: PathBuf,
    },
    /// The system's loader refused.
    #[error("cannot load the plugin {path}: {reason}")]
    Dlopen {
        /// The path.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
    /// The library exports no such plugin.
    #[error("the library {path} does not export {symbol}: {reason}")]
    NoSymbol {
        /// The path.
        path: PathBuf,
        /// The symbol.
        symbol: String,
        /// The loader's own words.
        reason: String,
    },
    /// The plugin's descriptor does not fit this program.
    #[error("the plugin {name} does not fit this program: {defect}")]
    Descriptor {
        /// The plugin.
        name: String,
        /// What is wrong.
        defect: Defect,
    },
    /// The plugin refused its configuration, or could not start.
    #[error("{plugin} refuses to start ({status}): {message}")]
    Create {
        /// Name and version.
        plugin: String,
        /// The plugin's status.
        status: Status,
        /// The plugin's words.
        message: String,
    },
    /// The plugin did not come back.
    #[error("{plugin} did not start within {limit:?}")]
    CreateTimeout {
        /// Name and version.
        plugin: String,
        /// How long it had.
        limit: Duration,
    },
    /// The host's own fault or the system's: no thread could be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl LoadFailure {
    pub(crate) fn of(self, instance: impl Into<String>) -> LoadError {
        LoadError { instance: instance.into(), reason: self }
    }
}

/// What is wrong with a plugin's descriptor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// The entry gave NULL.
    #[error("its entry gave no descriptor")]
    NoDescriptor,
    /// The entry does not always give the same descriptor.
    #[error("its entry gives another descriptor at every call")]
    Changing,
    /// The entry gave a pointer that cannot point to a descriptor.
    #[error("its descriptor is not aligned")]
    Misaligned,
    /// Written against another major.
    #[error("it was built for contract {plugin}, this program has {host}")]
    Major {
        /// The plugin's.
        plugin: u16,
        /// This program's.
        host: u16,
    },
    /// Too short to hold what every plugin of this major has.
    #[error("its descriptor has {plugin} bytes, contract {major}.0 has {host}")]
    Size {
        /// The plugin's.
        plugin: u32,
        /// The least there may be.
        host: u32,
        /// The contract's major.
        major: u16,
    },
    /// Needs a later host.
    #[error("it needs contract {major}.{plugin} or later, this program has {major}.{host}")]
    Minor {
        /// The least the plugin can work with.
        plugin: u16,
        /// This program's.
        host: u16,
        /// Both sides' major.
        major: u16,
    },
    /// A field that must be there is NULL.
    #[error("its {0} is missing")]
    Missing(&'static str),
    /// A string without an end or an absurdly long one.
    #[error("its {0} is not a string of at most 1024 bytes")]
    Text(&'static str),
    /// It calls itself something else.
    #[error("it calls itself \"{0}\"")]
    Name(String),
}

/// An open failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OpenError {
    /// What became of it. Never [`Status::Ok`].
    pub status: Status,
    /// One line, prefixed with `transport <instance> (<plugin> <version>): `.
    pub message: String,
    /// What a person could do about it, if the plugin knows.
    pub hint: Option<String>,
    /// When another try makes sense, if the far side said so.
    pub retry_after: Option<Duration>,
}

/// A failure before the instance's name is put in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None, retry_after: None }
    }

    /// Puts `prefix` in front.
    pub(crate) fn prefixed(self, prefix: &dyn fmt::Display) -> OpenError {
        OpenError {
            status: self.status,
            message: format!("{prefix}{}", self.message),
            hint: self.hint,
            retry_after: self.retry_after,
        }
    }
}
