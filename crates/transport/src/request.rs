//! What is asked of a transport: a way to one host and port, within a limit.

use std::time::Duration;

use serde_json::{Map, Value};

/// A request for one connected socket.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The host to reach, as the far end of the transport resolves it.
    pub host: String,
    /// The port to reach.
    pub port: u16,
    /// The database of the session, for transports that speak PostgreSQL themselves.
    pub database: Option<String>,
    /// The user of the session, for the same.
    pub user: Option<String>,
    /// The cluster of the session, for transports that log in there themselves.
    pub cluster: Option<Cluster>,
    /// What the socket is for.
    pub purpose: Purpose,
    /// The time for the whole open, waiting for other opens included.
    pub limit: Duration,
    /// The time for one TCP connection underneath.
    pub tcp_limit: Duration,
    /// How long a tunnel without streams should be kept.
    pub idle_tunnel: Duration,
    /// A word about the client, for the far side's logs.
    pub client_label: Option<String>,
}

/// A cluster as the control plane knows it, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its ARN.
    pub arn: String,
    /// The name of its secret, never what is in it.
    pub secret_arn: String,
    /// The region of both.
    pub region: String,
}

/// What a socket is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session.
    Session,
    /// A query cancellation: one packet, then the end.
    Cancel,
    /// A look whether the target can be reached.
    Probe,
}

impl Purpose {
    /// The word that crosses the border.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Cancel => "cancel",
            Self::Probe => "probe",
        }
    }
}

impl OpenRequest {
    /// The request as a plugin reads it. `remaining` is what is left of the limit.
    pub(crate) fn target_json(&self, remaining: Duration) -> String {
        let mut target = Map::new();
        let mut put = |key: &str, value: Value| {
            target.insert(key.to_owned(), value);
        };
        put("host", self.host.as_str().into());
        put("port", self.port.into());
        put("purpose", self.purpose.as_str().into());
        put("deadline_ms", milliseconds(remaining));
        put("tcp_ms", milliseconds(self.tcp_limit));
        put("idle_tunnel_ms", milliseconds(self.idle_tunnel));
        for (key, value) in [
            ("database", &self.database),
            ("user", &self.user),
            ("client_label", &self.client_label),
        ] {
            if let Some(value) = value {
                put(key, value.as_str().into());
            }
        }
        if let Some(Cluster { arn, secret_arn, region }) = &self.cluster {
            for (key, value) in
                [("cluster_arn", arn), ("secret_arn", secret_arn), ("region", region)]
            {
                target.insert(key.to_owned(), value.as_str().into());
            }
        }
        Value::Object(target).to_string()
    }
}

fn milliseconds(duration: Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> OpenRequest {
        OpenRequest {
            host: "db.example".to_owned(),
            port: 5432,
            database: None,
            user: Some("app".to_owned()),
            cluster: None,
            purpose: Purpose::Cancel,
            limit: Duration::from_secs(9),
            tcp_limit: Duration::from_secs(3),
            idle_tunnel: Duration::from_mins(1),
            client_label: None,
        }
    }

    #[test]
    fn a_cluster_is_told_by_arn_name_of_its_secret_and_region() {
        let cluster = Cluster {
            arn: "arn:c".to_owned(),
            secret_arn: "arn:s".to_owned(),
            region: "eu-west-1".to_owned(),
        };
        let request = OpenRequest { cluster: Some(cluster), ..request() };
        let json: Value =
            serde_json::from_str(&request.target_json(Duration::from_secs(1))).unwrap();
        let told = ["cluster_arn", "secret_arn", "region"].map(|key| json[key].as_str().unwrap());
        assert_eq!(told, ["arn:c", "arn:s", "eu-west-1"]);
    }

    #[test]
    fn absent_fields_are_left_out_of_the_target() {
        let request = request();
        let json: Value =
            serde_json::from_str(&request.target_json(Duration::from_millis(8500))).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "host": "db.example", "port": 5432, "user": "app", "purpose": "cancel",
                "deadline_ms": 8500, "tcp_ms": 3000, "idle_tunnel_ms": 60000
            })
        );
    }
}
