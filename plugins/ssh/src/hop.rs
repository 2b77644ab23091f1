//! One SSH server on the way: where it is, who it must be, and who we are there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::HostKeyPolicy;

/// An SSH server with all that is needed to connect and log in to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// What it is there for.
    pub role: Role,
    /// Its name as the user wrote it.
    pub alias: String,
    /// The name or address to connect to.
    pub host: String,
    /// The port to connect to.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The keys to log in with.
    pub identities: Identities,
    /// Who it must be.
    pub host_keys: HostKeys,
    /// After this much silence the server is asked for a sign of life.
    pub keepalive_interval: Duration,
    /// After this many unanswered requests for a sign of life the connection counts as lost.
    pub keepalive_max: u8,
    /// Limit for the connection and the key exchange, if there is one of its own.
    pub connect_timeout: Option<Duration>,
}

/// What a server on the way is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It leads to the next server.
    Jump,
    /// It connects to the database.
    Bastion,
}

/// The keys to log in with, in the order in which they are tried: files, then the agent's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identities {
    /// The EC2 instance that is handed a key made for the login. There are no others then.
    pub instance: Option<String>,
    /// Files of private keys.
    pub files: Vec<IdentityFile>,
    /// A file with a user certificate for one of these keys, which has to be usable.
    pub certificate_file: Option<PathBuf>,
    /// Files of user certificates for these keys, from `CertificateFile`.
    pub certificate_files: Vec<PathBuf>,
    /// The agent whose keys are tried.
    pub agent: Option<Agent>,
    /// Whether the agent is asked for the keys in `files` alone.
    pub only_files: bool,
}

/// A file with a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFile {
    /// Where it is.
    pub path: PathBuf,
    /// Who has said so.
    pub named_by: NamedBy,
}

/// Who has named a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// The transport's configuration: a file that cannot be used ends the attempt.
    Configuration,
    /// `ssh_config`: a file that cannot be used is passed over, as OpenSSH does.
    SshConfig,
    /// Nobody: it is where OpenSSH looks by default, after the agent.
    Nobody,
}

/// An ssh-agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// The one that `SSH_AUTH_SOCK` names.
    Environment,
    /// The one that listens on this socket.
    Socket(PathBuf),
}

/// What is known about the server's host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeys {
    /// The files of known hosts. A new key is recorded in the first.
    pub files: Vec<PathBuf>,
    /// The name to look it up by, instead of host and port.
    pub alias: Option<String>,
    /// What to do about a server that nobody knows yet.
    pub policy: HostKeyPolicy,
}

impl Role {
    /// The word for it in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Jump => "jump",
            Self::Bastion => "bastion",
        }
    }
}

impl Hop {
    /// Its place, with the alias if that says something else.
    pub fn place(&self) -> String {
        let (alias, host, port) = (&self.alias, &self.host, self.port);
        if alias == host { format!("{host}:{port}") } else { format!("{alias} ({host}:{port})") }
    }
}

/// As messages name it.
impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role.word(), self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_shown_beside_what_it_stands_for() {
        let mut hop = Hop {
            role: Role::Jump,
            alias: "gate".to_owned(),
            host: "gate".to_owned(),
            port: 2222,
            user: "jo".to_owned(),
            identities: Identities::default(),
            host_keys: HostKeys { files: vec![], alias: None, policy: HostKeyPolicy::Strict },
            keepalive_interval: Duration::from_secs(15),
            keepalive_max: 3,
            connect_timeout: None,
        };
        assert_eq!(hop.to_string(), "jump gate:2222");
        hop.host = "10.0.0.1".to_owned();
        hop.role = Role::Bastion;
        assert_eq!(hop.to_string(), "bastion gate (10.0.0.1:2222)");
    }
}
