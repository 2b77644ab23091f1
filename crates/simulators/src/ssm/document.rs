//! Session documents: which parameters they take, and what becomes of them.
//!
//! Source: `aws ssm get-document` of the AWS documents named here.

use serde_json::{Map, Value, json};

use crate::aws::reply::Failure;

/// What a document makes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// Connections to any host the agent reaches.
    RemoteHost,
    /// Connections to the agent's own ports.
    OwnPort,
    /// One connection to the agent's own port, without multiplexing.
    Ssh,
}

/// A document's parameters, filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Properties {
    document: Document,
    pub(super) host: Option<String>,
    pub(super) port: u16,
    local_port: u16,
}

impl Document {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "AWS-StartPortForwardingSessionToRemoteHost" => Some(Self::RemoteHost),
            "AWS-StartPortForwardingSession" => Some(Self::OwnPort),
            "AWS-StartSSHSession" => Some(Self::Ssh),
            _ => None,
        }
    }

    /// Reads `Parameters` of a request: a map of lists of one string.
    pub(super) fn fill(self, parameters: Option<&Value>) -> Result<Properties, Failure> {
        let empty = Map::new();
        let given = match parameters {
            None | Some(Value::Null) => &empty,
            Some(given) => given.as_object().ok_or_else(|| refused("Parameters is no map."))?,
        };
        if let Some(unknown) = given.keys().find(|name| !self.takes(name)) {
            return Err(refused(&format!("{unknown} is no parameter of the document.")));
        }
        let text = |name: &str, default: &str| match given.get(name) {
            None => Ok(default.to_owned()),
            Some(list) => only(list).ok_or_else(|| refused(&format!("Invalid {name}."))),
        };
        let host = match self {
            Self::RemoteHost => Some(text("host", "localhost")?).filter(|host| !host.is_empty()),
            Self::OwnPort | Self::Ssh => None,
        };
        if self == Self::RemoteHost && host.is_none() {
            return Err(refused("Invalid host."));
        }
        let default = if self == Self::Ssh { "22" } else { "80" };
        let port = text("portNumber", default)?;
        let local = text("localPortNumber", "0")?;
        let port = number(&port).filter(|port| *port > 0);
        Ok(Properties {
            document: self,
            host,
            port: port.ok_or_else(|| refused("Invalid portNumber."))?,
            local_port: number(&local).ok_or_else(|| refused("Invalid localPortNumber."))?,
        })
    }

    fn takes(self, parameter: &str) -> bool {
        match parameter {
            "portNumber" => true,
            "localPortNumber" => self != Self::Ssh,
            "host" => self == Self::RemoteHost,
            _ => false,
        }
    }
}

impl Properties {
    /// As agent and client are told of them.
    pub(super) fn json(&self) -> Value {
        let (port, local) = (self.port.to_string(), self.local_port.to_string());
        let kind = "LocalPortForwarding";
        match self.document {
            Document::RemoteHost => json!({
                "host": self.host, "portNumber": port, "localPortNumber": local, "type": kind,
            }),
            Document::OwnPort => {
                json!({"portNumber": port, "localPortNumber": local, "type": kind})
            }
            Document::Ssh => json!({"portNumber": port}),
        }
    }

    pub(super) fn is_local_forwarding(&self) -> bool {
        self.document != Document::Ssh
    }
}

fn only(list: &Value) -> Option<String> {
    match list.as_array()?.as_slice() {
        [value] => value.as_str().map(str::to_owned),
        _ => None,
    }
}

/// Without sign and leading zeros, as the documents' patterns have it.
fn number(text: &str) -> Option<u16> {
    text.parse::<u16>().ok().filter(|number| number.to_string() == text)
}

fn refused(message: &str) -> Failure {
    Failure::new(400, "BadRequest", message)
}
