//! What the person and the machine around the transport bring along.

use std::collections::HashMap;
use std::path::PathBuf;

/// The local user, their machine and their environment: where configuration is found, and what
/// tokens in it stand for.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The home directory, if there is one.
    pub home: Option<PathBuf>,
    /// The local user's name.
    pub user: String,
    /// The local user's number.
    pub uid: u32,
    /// The name of this machine.
    pub host_name: String,
    /// The directory of OpenSSH's system-wide files.
    pub system: PathBuf,
    /// The environment variables.
    pub variables: HashMap<String, String>,
}

impl Surroundings {
    /// Those of this process.
    pub fn here() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            user: whoami::username().unwrap_or_default(),
            uid: rustix::process::getuid().as_raw(),
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            system: PathBuf::from("/etc/ssh"),
            variables,
        }
    }

    /// The directory of the user's own OpenSSH files.
    pub fn user_directory(&self) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(".ssh"))
    }

    /// Whether there is an ssh-agent to ask.
    pub fn has_agent(&self) -> bool {
        self.variables.get("SSH_AUTH_SOCK").is_some_and(|socket| !socket.is_empty())
    }
}
