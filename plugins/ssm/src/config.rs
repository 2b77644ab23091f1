//! What a user may write in a transport of kind `ssm`.

use std::collections::BTreeMap;
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use pgferry_transport_sdk::Interval;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::destination::Destination;
use crate::target::Selector;

/// The managed node through which sessions lead, and how they are used.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The managed node: an instance id (`i-…`, `mi-…`) or an ECS task
    /// (`ecs:<cluster>_<task id>_<runtime id>`). Either this, or `name`, or `tags`.
    #[serde(default)]
    pub instance: Option<String>,
    /// The node's tag `Name`: any node whose agent is online will do.
    #[serde(default)]
    pub name: Option<String>,
    /// The node's tags, all of which have to be there.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The session document. One of your own needs the parameters of the default,
    /// `AWS-StartPortForwardingSessionToRemoteHost`. `AWS-StartSSHSession` leads to the node's own ports, one
    /// connection in each session.
    #[serde(default)]
    pub document: Option<String>,
    /// The reason that is recorded with every session.
    #[serde(default)]
    pub reason: Option<String>,
    /// Sessions for one database that take new connections: each connection has a session of its own up to this
    /// number, and beyond it the one with the fewest connections. Sessions that are stuck, being resumed or kept for
    /// their old connections alone do not count, so there may be more of them. By default 4.
    #[serde(default)]
    pub max_sessions: Option<NonZeroU8>,
    /// Whether a session is opened ahead of need. By default it is.
    #[serde(default)]
    pub open_ahead: Option<bool>,
    /// A session without connections is ended after this time. By default the program's own limit for idle tunnels.
    #[serde(default)]
    pub idle_timeout: Option<Interval>,
    /// After so long without traffic something is sent that counts as use of the session. It defeats the idle
    /// timeout that your organisation has set for sessions; by default nothing is sent.
    #[serde(default)]
    pub keep_alive: Option<Interval>,
    /// How long a session whose connection broke is resumed before its connections are given up. By default 5 minutes.
    #[serde(default)]
    pub resume_for: Option<Interval>,
    /// How long to wait for a node that is not connected, as one that has just been started. By default 20 s.
    #[serde(default)]
    pub boot_wait: Option<Interval>,
    /// Messages of 1,024 bytes that are sent each second in a session. By default 900; the service cuts off sessions
    /// that send more than about 1,000.
    #[serde(default)]
    pub messages_per_second: Option<NonZeroU32>,
    /// The host (and port) to connect to instead of the one that the service names for the data channel, such as an
    /// interface endpoint of `ssmmessages`.
    #[serde(default)]
    pub messages_endpoint: Option<String>,
    /// Whether the connection of the data channel is signed. By default it is.
    #[serde(default)]
    pub sign: Option<bool>,
}

impl Config {
    /// What no schema can say: the first contradiction found, in words.
    ///
    /// Errors: the user's configuration cannot work.
    pub fn check(&self) -> Result<(), String> {
        self.selector()?;
        let long =
            self.reason.as_ref().is_some_and(|reason| !(1..=256).contains(&reason.chars().count()));
        if long {
            return Err("reason must have 1 to 256 characters".to_owned());
        }
        if self.document.as_ref().is_some_and(|document| document.trim().is_empty()) {
            return Err("document must be the name or ARN of a session document".to_owned());
        }
        let wrong = |endpoint: &String| endpoint.is_empty() || endpoint.contains(['/', '@', ' ']);
        if self.messages_endpoint.as_ref().is_some_and(wrong) {
            return Err("messages_endpoint must be a host, with :port if it is not 443".to_owned());
        }
        let zero = |interval: &Option<Interval>| interval.is_some_and(|it| it.0.is_zero());
        if zero(&self.keep_alive) || zero(&self.resume_for) {
            return Err("keep_alive and resume_for must be greater than zero".to_owned());
        }
        if self.keep_alive.is_some() && !self.forwards() {
            return Err(format!(
                "keep_alive cannot work with {SSH}: its sessions carry nothing but one connection's bytes"
            ));
        }
        Ok(())
    }

    /// Which node is meant.
    ///
    /// Errors: none, or several ways of saying it.
    pub fn selector(&self) -> Result<Selector, String> {
        match (&self.instance, &self.name, self.tags.is_empty()) {
            (Some(id), None, true) => Selector::id(id),
            (None, Some(name), true) if !name.is_empty() => Ok(Selector::name(name)),
            (None, None, false) => Ok(Selector::Tags(self.tags.clone())),
            _ => Err("write one of instance, name and tags, to say which managed node is meant"
                .to_owned()),
        }
    }

    /// The session document.
    pub fn document(&self) -> &str {
        self.document.as_deref().unwrap_or(REMOTE_HOST)
    }

    /// Where the agent has to connect for `host` and `port`: a host that is called like the node, by its id or by
    /// `name`, is the node itself; so is every host if the document knows no other.
    pub fn destination(&self, host: String, port: u16) -> Destination {
        let node = [&self.instance, &self.name];
        let own = node.iter().any(|name| name.as_ref().is_some_and(|it| *it == host));
        if own || !self.names_host() {
            return Destination::on_the_node(port);
        }
        Destination { host, port }
    }

    /// Whether the document is told a host; otherwise the node's own ports are meant.
    pub fn names_host(&self) -> bool {
        !matches!(self.document(), OWN_PORTS | SSH)
    }

    /// Whether the document carries several connections; otherwise one, as it is.
    pub(crate) fn forwards(&self) -> bool {
        self.document() != SSH
    }

    pub(crate) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or("pgferry")
    }

    pub(crate) fn max_sessions(&self) -> usize {
        self.max_sessions.map_or(4, |limit| usize::from(limit.get()))
    }

    pub(crate) fn resume_for(&self) -> Duration {
        self.resume_for.map_or(Duration::from_mins(5), |limit| limit.0)
    }

    pub(crate) fn boot_wait(&self) -> Duration {
        self.boot_wait.map_or(Duration::from_secs(20), |limit| limit.0)
    }
}

/// Source: AWS Systems Manager User Guide, "Starting a session (port forwarding to remote host)".
const REMOTE_HOST: &str = "AWS-StartPortForwardingSessionToRemoteHost";
const OWN_PORTS: &str = "AWS-StartPortForwardingSession";
const SSH: &str = "AWS-StartSSHSession";

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_node_is_meant_in_exactly_one_way() {
        assert!(config(r#"{"instance": "i-0123456789abcdef0"}"#).check().is_ok());
        assert!(config(r#"{"name": "bastion"}"#).check().is_ok());
        assert!(config(r#"{"tags": {"role": "bastion"}}"#).check().is_ok());
        for wrong in
            ["{}", r#"{"name": ""}"#, r#"{"name": "b", "instance": "i-0123456789abcdef0"}"#]
        {
            assert!(
                config(wrong).check().unwrap_err().contains("instance, name and tags"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn limits_of_the_service_are_checked_before_it_is_asked() {
        for wrong in [
            r#"{"name": "b", "reason": ""}"#,
            r#"{"name": "b", "document": " "}"#,
            r#"{"name": "b", "messages_endpoint": "wss://x/"}"#,
            r#"{"name": "b", "keep_alive": "0s"}"#,
            r#"{"name": "b", "resume_for": "0s"}"#,
            r#"{"name": "b", "document": "AWS-StartSSHSession", "keep_alive": "1m"}"#,
        ] {
            assert!(config(wrong).check().is_err(), "{wrong}");
        }
        let reason = |length: usize| Config {
            reason: Some("é".repeat(length)),
            ..config(r#"{"name": "b"}"#)
        };
        assert!(reason(256).check().is_ok(), "characters count, not bytes");
        assert!(reason(257).check().is_err());
    }

    #[test]
    fn a_host_that_is_called_like_the_node_is_the_node() {
        let to = |json: &str, host: &str| config(json).destination(host.to_owned(), 22).to_string();
        let id = "i-0123456789abcdef0";
        assert_eq!(to(&format!(r#"{{"instance": "{id}"}}"#), id), "localhost:22");
        assert_eq!(to(r#"{"name": "bastion"}"#, "bastion"), "localhost:22");
        assert_eq!(to(r#"{"name": "bastion"}"#, "db.internal"), "db.internal:22");
        let ssh = r#"{"name": "bastion", "document": "AWS-StartSSHSession"}"#;
        assert_eq!(to(ssh, "db.internal"), "localhost:22");
    }

    #[test]
    fn only_documents_for_the_nodes_own_ports_are_told_no_host() {
        let names = |document: &str| {
            Config { document: Some(document.to_owned()), ..Config::default() }.names_host()
        };
        assert!(Config::default().names_host() && names("Our-Forwarding"));
        assert!(!names("AWS-StartPortForwardingSession") && !names("AWS-StartSSHSession"));
    }
}
