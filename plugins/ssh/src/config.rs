//! What a user may write in a transport of kind `ssh`.

use std::num::NonZeroU16;
use std::path::PathBuf;

use pgferry_transport_sdk::Interval;
use schemars::JsonSchema;
use serde::Deserialize;

/// One bastion, the way there and how to log in to it. What is not said here is taken from the
/// user's `ssh_config`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the bastion, or its alias in `ssh_config`.
    pub host: String,
    /// Port of the bastion's SSH server. By default `Port` of `ssh_config`, else 22.
    #[serde(default)]
    pub port: Option<NonZeroU16>,
    /// Who logs in to the bastion. By default `User` of `ssh_config`, else the local user.
    #[serde(default)]
    pub user: Option<String>,
    /// `"instance-connect"`: no key of yours. A new one is made for each login at the bastion, and EC2 Instance
    /// Connect has the bastion take it for a minute.
    #[serde(default)]
    pub key: Option<Key>,
    /// The EC2 instance that the bastion is, for `key = "instance-connect"`. By default `host`.
    #[serde(default)]
    pub instance: Option<String>,
    /// A private key, in OpenSSH, PEM or `PuTTY` format. If it is encrypted, its passphrase is the
    /// secret `key_passphrase` of this transport.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// A certificate for the key, as `ssh-keygen -s` writes it; the key itself may be in the agent. By
    /// default the file beside `key_file` that is named like it with `-cert.pub`, if there is one.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// Whether to log in with the keys of the ssh-agent that `SSH_AUTH_SOCK` names. They are tried
    /// after `key_file`. By default without a `key_file`, if there is an agent and `ssh_config` allows it.
    #[serde(default)]
    pub agent: Option<bool>,
    /// The SSH servers to pass before the bastion, the nearest first: `[user@]host[:port]`, where
    /// host may be an alias. By default `ProxyJump` of `ssh_config`; none with an empty list.
    #[serde(default)]
    pub jump: Option<Vec<String>>,
    /// Whether `~/.ssh/config` and `/etc/ssh/ssh_config` are read.
    #[serde(default)]
    pub ssh_config: Option<bool>,
    /// The file to read instead of both, as with `ssh -F`.
    #[serde(default)]
    pub ssh_config_file: Option<PathBuf>,
    /// The file of known host keys. By default those of `ssh_config`, else `~/.ssh/known_hosts` and
    /// `/etc/ssh/ssh_known_hosts`.
    #[serde(default)]
    pub known_hosts_file: Option<PathBuf>,
    /// What to do with a bastion whose host key is not known yet. A changed key is always refused.
    /// By default `StrictHostKeyChecking` of `ssh_config`, else strict.
    #[serde(default)]
    pub host_key_policy: Option<HostKeyPolicy>,
    /// After this much silence the bastion is asked for a sign of life. By default
    /// `ServerAliveInterval` of `ssh_config`, else 15 s.
    #[serde(default)]
    pub keepalive_interval: Option<Interval>,
    /// After this many unanswered requests for a sign of life the connection counts as lost. By
    /// default `ServerAliveCountMax` of `ssh_config`, else 3.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub keepalive_max: Option<u8>,
    /// A bastion connection that carries no session is closed after this time. By default the
    /// program's own limit for idle tunnels.
    #[serde(default)]
    pub idle_timeout: Option<Interval>,
    /// How many sessions may share one bastion connection; by default any number. A session whose
    /// application reads slowly, or not at all, slows down the others on the same connection: with
    /// 1 no session waits for another, at the price of a login at the bastion for each.
    #[serde(default)]
    pub sessions_per_connection: Option<NonZeroU16>,
}

impl Config {
    /// What no schema can say: the first contradiction found, in words.
    ///
    /// Errors: the user's configuration cannot work.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.host.is_empty() || self.host.contains(char::is_whitespace) {
            return Err("host must be the name or address of the bastion");
        }
        if self.user.as_ref().is_some_and(String::is_empty) {
            return Err("user must not be empty");
        }
        let no_time = self.keepalive_interval.is_some_and(|interval| interval.0.is_zero());
        if no_time || self.keepalive_max == Some(0) {
            return Err("keepalive_interval and keepalive_max must be greater than zero");
        }
        if self.ssh_config == Some(false) && self.ssh_config_file.is_some() {
            return Err("ssh_config = false and ssh_config_file contradict each other");
        }
        self.check_key()
    }

    fn check_key(&self) -> Result<(), &'static str> {
        let Some(Key::InstanceConnect) = self.key else {
            return match self.instance {
                Some(_) => Err("instance is for key = \"instance-connect\""),
                None => Ok(()),
            };
        };
        let own = self.key_file.is_some() || self.certificate_file.is_some();
        if own || self.agent == Some(true) {
            return Err("key = \"instance-connect\" makes a key of its own: leave out key_file, \
                        certificate_file and agent");
        }
        if self.instance().is_none() {
            return Err(
                "instance must say which EC2 instance the bastion is (i-…), unless host does",
            );
        }
        Ok(())
    }

    /// The EC2 instance that is handed a key, if one is.
    pub fn instance(&self) -> Option<&str> {
        let Key::InstanceConnect = self.key?;
        let id = self.instance.as_ref().unwrap_or(&self.host);
        let hex = |rest: &str| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_hexdigit());
        id.strip_prefix("i-").is_some_and(hex).then_some(id)
    }
}

/// Whose key logs in to the bastion, if it is none of the person's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// One made for each login, which EC2 Instance Connect hands to the instance.
    InstanceConnect,
}

/// What to do with a bastion whose host key is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeyPolicy {
    /// Refuse it, and say which line to add.
    #[default]
    Strict,
    /// Accept and record it, if nothing is known about that bastion.
    AcceptNew,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<(), &'static str> {
        serde_json::from_str::<Config>(json).unwrap().check()
    }

    #[test]
    fn instance_connect_needs_an_instance_and_no_other_key() {
        let connect = |more: &str| {
            check(&format!(r#"{{"host": "bastion", "key": "instance-connect"{more}}}"#))
        };
        assert!(connect(r#", "instance": "i-0123456789abcdef0""#).is_ok());
        assert!(check(r#"{"host": "i-0123456789abcdef0", "key": "instance-connect"}"#).is_ok());
        assert!(connect("").unwrap_err().contains("which EC2 instance"));
        assert!(connect(r#", "instance": "mi-01""#).unwrap_err().contains("which EC2 instance"));
        for more in [r#""key_file": "k""#, r#""certificate_file": "c""#, r#""agent": true"#] {
            let error = connect(&format!(r#", "instance": "i-01", {more}"#)).unwrap_err();
            assert!(error.contains("a key of its own"), "{more}: {error}");
        }
        let error = check(r#"{"host": "bastion", "instance": "i-01"}"#).unwrap_err();
        assert!(error.contains("instance-connect"), "{error}");
    }
}
