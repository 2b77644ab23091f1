//! Where an open has to lead.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::Error;

/// Where an open has to lead, for whom, and how long it may take. Never holds a secret.
///
/// Units: durations come as whole milliseconds in the contract's JSON.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Target {
    /// Host name or address of the database, as seen from the far end of the path.
    pub host: String,
    /// Port of the database.
    pub port: u16,
    /// The database the application asked for.
    pub database: Option<String>,
    /// The user the session will log in as.
    pub user: Option<String>,
    /// What the path is for.
    #[serde(default)]
    pub purpose: Purpose,
    /// Time from now until the open has to be answered. The SDK enforces it.
    #[serde(rename = "deadline_ms", default = "default_deadline", deserialize_with = "millis")]
    pub deadline: Duration,
    /// Which application it is for; for logs only.
    pub client_label: Option<String>,
    /// Limit for one TCP connect.
    #[serde(rename = "tcp_ms", default = "default_tcp_limit", deserialize_with = "millis")]
    pub tcp_limit: Duration,
    /// How long a shared tunnel may outlive its last stream.
    #[serde(rename = "idle_tunnel_ms", default = "default_idle", deserialize_with = "millis")]
    pub idle_tunnel: Duration,
    /// The database cluster, for plugins that talk to a control plane.
    pub cluster_arn: Option<String>,
    /// The name of the cluster's secret (not the secret), for plugins that talk to a control plane.
    pub secret_arn: Option<String>,
    /// The region of both.
    pub region: Option<String>,
}

/// What a path is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Purpose {
    /// A query cancel: one short packet.
    Cancel,
    /// Only to see whether it works.
    Probe,
    /// A session; also whatever a newer host may invent.
    #[default]
    #[serde(other)]
    Session,
}

impl Target {
    /// Errors: `PROTOCOL`, the host's fault.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(json).map_err(|e| Error::protocol(format!("bad target: {e}")))
    }
}

fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

const fn default_deadline() -> Duration {
    Duration::from_secs(30)
}

const fn default_tcp_limit() -> Duration {
    Duration::from_secs(10)
}

const fn default_idle() -> Duration {
    Duration::from_mins(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_and_purposes_are_ignored() {
        let target = Target::parse(
            br#"{"host":"db","port":5432,"purpose":"dance","deadline_ms":1500,"moon":"full"}"#,
        )
        .unwrap();
        assert_eq!(target.purpose, Purpose::Session);
        assert_eq!(target.deadline, Duration::from_millis(1500));
        assert_eq!(target.tcp_limit, Duration::from_secs(10));
    }

    #[test]
    fn a_target_without_a_host_is_refused_in_words() {
        let error = Target::parse(br#"{"port":5432}"#).unwrap_err();
        assert!(error.message().contains("missing field `host`"), "{error}");
    }
}
