//! What agent and client agree on before data flow.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{
    super::{
        inventory::ManagedInstance,
        message::{Broken, HANDSHAKE_COMPLETE, HANDSHAKE_REQUEST, HANDSHAKE_RESPONSE, Message},
        record::SessionEnd,
        version::Version,
    },
    Channel,
    receiver::Receiver,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreed {
    Multiplexed(KeepAlive),
    /// One connection's bytes as they are.
    Plain,
}

/// Whether the agent sends keep-alives within the session, and ends it when none come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepAlive {
    On,
    Off,
}

pub(super) async fn shake(
    channel: &Channel,
    incoming: &mut Receiver<'_>,
    node: &ManagedInstance,
) -> Result<Agreed, SessionEnd> {
    let began = Instant::now();
    let properties = &channel.session.properties;
    let mut actions = vec![json!({
        "ActionType": "SessionType",
        "ActionParameters": {"SessionType": "Port", "Properties": properties.json()},
    })];
    if node.asks_for_kms {
        let parameters = json!({"KMSKeyId": "alias/sessions", "Challenge": "AAAA"});
        actions.push(json!({"ActionType": "KMSEncryption", "ActionParameters": parameters}));
    }
    let request = json!({"AgentVersion": node.agent_version, "RequestedClientActions": actions});
    channel.send(HANDSHAKE_REQUEST, request.to_string().into_bytes());
    let response = timeout(LIMIT, incoming.next()).await.map_err(|_| timed_out())??;
    let client = read(&response, &actions)?;
    // Whoever sends before it has heard of the end of the handshake is to be found out.
    tokio::select! {
        early = incoming.next() => {
            let number = early?.sequence;
            return Err(Broken(format!("message {number} before the handshake was complete")).into());
        }
        () = sleep(Duration::from_millis(10)) => {}
    }
    let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let complete = json!({"HandshakeTimeToComplete": took, "CustomerMessage": ""});
    channel.send(HANDSHAKE_COMPLETE, complete.to_string().into_bytes());
    let above = |parts| client.is_some_and(|client| client > Version::new(parts));
    let multiplexed = properties.is_local_forwarding()
        && above([1, 1, 69, u32::MAX])
        && node.version_is_above([3, 0, 196, 0]);
    let keep_alive = if above([1, 2, 331, 0]) { KeepAlive::Off } else { KeepAlive::On };
    Ok(if multiplexed { Agreed::Multiplexed(keep_alive) } else { Agreed::Plain })
}

/// The client's version; none if it is not made of four numbers.
fn read(response: &Message, requested: &[Value]) -> Result<Option<Version>, SessionEnd> {
    if response.payload_type != HANDSHAKE_RESPONSE {
        let got = response.payload_type;
        return Err(Broken(format!("payload type {got} instead of a handshake response")).into());
    }
    let broken = |what: &str| Broken(format!("a handshake response {what}"));
    let value: Value =
        serde_json::from_slice(&response.payload).map_err(|_| broken("that is no JSON"))?;
    let version = value.get("ClientVersion").and_then(Value::as_str);
    let version = version.ok_or_else(|| broken("without ClientVersion"))?;
    let processed = value.get("ProcessedClientActions").and_then(Value::as_array);
    let processed = processed.ok_or_else(|| broken("without ProcessedClientActions"))?;
    for action in requested {
        let same = |other: &&Value| other.get("ActionType") == action.get("ActionType");
        let answer = processed.iter().find(same).ok_or_else(|| broken("that leaves out one"))?;
        let status = answer.get("ActionStatus").and_then(Value::as_u64);
        match status.ok_or_else(|| broken("without ActionStatus"))? {
            1 => {}
            2 | 3 => return Err(SessionEnd::Failed(refused(answer))),
            other => return Err(broken(&format!("with status {other}")).into()),
        }
    }
    if processed.len() != requested.len() {
        return Err(broken("to what was not asked").into());
    }
    Ok(Version::parse(version))
}

fn refused(answer: &Value) -> String {
    let text = |name| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    format!("Failed to process action {}: {}", text("ActionType"), text("Error"))
}

fn timed_out() -> SessionEnd {
    let words = "Handshake timed out. Please ensure that you have the latest version of the \
                 session manager plugin.";
    SessionEnd::Failed(words.to_owned())
}

const LIMIT: Duration = Duration::from_secs(15);
