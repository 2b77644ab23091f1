//! The calls of Session Manager.
//!
//! Source: the AWS Systems Manager API reference, `StartSession` and following.

use serde_json::{Value, json};

use super::{SessionManager, inventory::ManagedInstance, record::SessionEnd, session::Session};
use crate::aws::{
    ACCOUNT,
    call::Incoming,
    principal::Principal,
    reply::{Failure, Success},
};

pub(crate) fn call(
    action: &str,
    incoming: &Incoming,
    caller: &Principal,
    (manager, region): (&SessionManager, &str),
) -> Result<Success, Failure> {
    let request = Request { body: incoming.json()?, caller, manager, region };
    match action {
        "StartSession" => request.start(incoming.request.header("host").unwrap_or_default()),
        "ResumeSession" => request.resume(incoming.request.header("host").unwrap_or_default()),
        "TerminateSession" => request.terminate(),
        "DescribeInstanceInformation" => request.describe_instances(),
        _ => Err(Failure::unknown_action(action, "2014-11-06")),
    }
}

struct Request<'a> {
    body: Value,
    caller: &'a Principal,
    manager: &'a SessionManager,
    region: &'a str,
}

impl Request<'_> {
    fn start(&self, called: &str) -> Result<Success, Failure> {
        let target = self.text("Target", 400)?;
        let target = target.ok_or_else(|| missing("target"))?;
        self.caller.check("ssm:StartSession", &self.resource(target))?;
        let reason = self.text("Reason", 256)?;
        let name = self.text("DocumentName", 128)?.unwrap_or("SSM-SessionManagerRunShell");
        let document = self.manager.document(name).ok_or_else(|| {
            let message = format!("Document with name {name} does not exist.");
            Failure::new(400, "InvalidDocument", &message)
        })?;
        let properties = document.fill(self.body.get("Parameters"))?;
        let node = self.manager.online(target).ok_or_else(|| {
            Failure::new(400, "TargetNotConnected", &format!("{target} is not connected."))
        })?;
        if properties.host.is_some() && !node.version_is_above([3, 1, 1187, u32::MAX]) {
            let message = "Port forwarding sessions to remote hosts are not supported by this \
                           version of the SSM Agent.";
            return Err(Failure::new(400, "BadRequest", message));
        }
        let session =
            self.manager.start_session((target, name), reason, properties, (self.caller, node));
        Ok(self.opening(&session, called))
    }

    fn resume(&self, called: &str) -> Result<Success, Failure> {
        let (id, session) = self.session("ssm:ResumeSession")?;
        let Some(session) = session else {
            let message = format!("Session {id} does not exist.");
            return Err(Failure::new(400, "DoesNotExistException", &message));
        };
        let record = session.record();
        match record.state {
            // No token: the client is to conclude that the session has timed out.
            super::SessionState::Ended(SessionEnd::Expired | SessionEnd::Idle) => {
                Ok(Success::Json(json!({"SessionId": id})))
            }
            super::SessionState::Ended(_) => {
                let message = format!("Session {id} is already terminated.");
                Err(Failure::new(400, "DoesNotExistException", &message))
            }
            _ => {
                session.update(|state| state.record.resumed += 1);
                Ok(self.opening(&session, called))
            }
        }
    }

    fn terminate(&self) -> Result<Success, Failure> {
        let (id, session) = self.session("ssm:TerminateSession")?;
        if let Some(session) = session {
            session.end(SessionEnd::Call);
        }
        Ok(Success::Json(json!({"SessionId": id})))
    }

    fn describe_instances(&self) -> Result<Success, Failure> {
        self.caller.check(
            "ssm:DescribeInstanceInformation",
            &format!("arn:aws:ssm:{}:{ACCOUNT}:*", self.region),
        )?;
        let filters = self.filters()?;
        let now = self.manager.conditions().clock.now();
        let found: Vec<_> = self
            .manager
            .instances()
            .into_iter()
            .filter(|node| {
                filters.iter().all(|(key, values)| {
                    offered(node, key).iter().any(|value| values.contains(value))
                })
            })
            .collect();
        let from = self.text("NextToken", 1024)?.map_or(Ok(0), str::parse::<usize>);
        let from = from.map_err(|_| Failure::new(400, "InvalidNextToken", "Invalid NextToken."))?;
        let size = self.body.get("MaxResults").and_then(Value::as_u64).unwrap_or(50);
        if !(5..=50).contains(&size) {
            return Err(validation("Value at 'maxResults' must be between 5 and 50"));
        }
        let size = usize::try_from(size).unwrap_or(50).min(self.manager.page_size());
        let page: Vec<_> =
            found.iter().skip(from).take(size).map(|node| described(node, now)).collect();
        let mut reply = json!({"InstanceInformationList": page});
        if let (true, Some(reply)) = (from + size < found.len(), reply.as_object_mut()) {
            reply.insert("NextToken".to_owned(), json!((from + size).to_string()));
        }
        Ok(Success::Json(reply))
    }

    fn filters(&self) -> Result<Vec<(String, Vec<String>)>, Failure> {
        let Some(filters) = self.body.get("Filters").and_then(Value::as_array) else {
            return Ok(Vec::new());
        };
        let invalid = || Failure::new(400, "InvalidFilterKey", "Invalid filter.");
        let read = |filter: &Value| {
            let key = filter.get("Key").and_then(Value::as_str)?;
            let values = filter.get("Values").and_then(Value::as_array)?;
            let values: Option<Vec<_>> =
                values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
            let known = key.starts_with("tag:") || FILTERS.contains(&key);
            known.then_some((key.to_owned(), values.filter(|values| !values.is_empty())?))
        };
        filters.iter().map(|filter| read(filter).ok_or_else(invalid)).collect()
    }

    /// The session named, if the caller may do `action` with it.
    fn session(&self, action: &str) -> Result<(&str, Option<std::sync::Arc<Session>>), Failure> {
        let id = self.text("SessionId", 96)?.ok_or_else(|| missing("sessionId"))?;
        let arn = format!("arn:aws:ssm:{}:{ACCOUNT}:session/{id}", self.region);
        self.caller.check(action, &arn)?;
        Ok((id, self.manager.session(id)))
    }

    fn opening(&self, session: &Session, called: &str) -> Success {
        let base = self.manager.conditions().settings().stream_base.clone();
        let base = base.unwrap_or_else(|| format!("ws://{called}"));
        let path = super::stream_path(&session.id);
        Success::Json(json!({
            "SessionId": session.id,
            "TokenValue": session.new_token(),
            "StreamUrl": format!("{base}{path}?{}", super::STREAM_QUERY),
        }))
    }

    fn text(&self, name: &str, longest: usize) -> Result<Option<&str>, Failure> {
        let value = match self.body.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value.as_str(),
        };
        let fits = value.filter(|value| (1..=longest).contains(&value.chars().count()));
        fits.map(Some).ok_or_else(|| {
            validation(&format!("Value at '{name}' must have between 1 and {longest} characters"))
        })
    }

    fn resource(&self, target: &str) -> String {
        let region = self.region;
        match target.split_once(':') {
            Some((_, task)) => format!("arn:aws:ecs:{region}:{ACCOUNT}:task/{task}"),
            None if target.starts_with("mi-") => {
                format!("arn:aws:ssm:{region}:{ACCOUNT}:managed-instance/{target}")
            }
            None => format!("arn:aws:ec2:{region}:{ACCOUNT}:instance/{target}"),
        }
    }
}

/// The session whose data channel is asked for, once the request itself is in order.
pub(crate) fn data_channel(
    incoming: &Incoming,
    caller: &Principal,
    (manager, region): (&SessionManager, &str),
) -> Result<Success, Failure> {
    let request = &incoming.request;
    let id = request.path.strip_prefix(super::STREAM_PATH).unwrap_or_default();
    let arn = format!("arn:aws:ssm:{region}:{ACCOUNT}:session/{id}");
    caller.check("ssmmessages:OpenDataChannel", &arn)?;
    if !request.body.is_empty() || !request.query.starts_with(super::STREAM_QUERY) {
        return Err(Failure::new(400, "BadRequest", "This is not the address given out."));
    }
    let has = |name, value: &str| {
        request.header(name).is_some_and(|it| it.to_ascii_lowercase().contains(value))
    };
    let upgrades = has("upgrade", "websocket")
        && has("connection", "upgrade")
        && has("sec-websocket-version", "13")
        && request.header("sec-websocket-key").is_some();
    if !upgrades {
        return Err(Failure::new(426, "UpgradeRequired", "A WebSocket was expected."));
    }
    match manager.session(id) {
        Some(session) => Ok(Success::DataChannel(session)),
        None => Err(Failure::new(404, "DoesNotExistException", "There is no such session.")),
    }
}

/// What an instance has to offer to a filter.
fn offered(node: &ManagedInstance, key: &str) -> Vec<String> {
    if let Some(tag) = key.strip_prefix("tag:") {
        let tags = node.tags.iter().filter(|(key, _)| key == tag);
        return tags.map(|(_, value)| value.clone()).collect();
    }
    match key {
        "InstanceIds" => vec![node.id.clone()],
        "PingStatus" => vec![node.ping_status().to_owned()],
        "AgentVersion" => vec![node.agent_version.clone()],
        "tag-key" => node.tags.iter().map(|(key, _)| key.clone()).collect(),
        "PlatformType" => vec!["Linux".to_owned()],
        "ResourceType" => vec![node.resource_type().to_owned()],
        _ => Vec::new(),
    }
}

fn described(node: &ManagedInstance, now: u64) -> Value {
    let tag = node.tags.iter().find(|(key, _)| key == "Name");
    let mut described = json!({
        "InstanceId": node.id,
        "PingStatus": node.ping_status(),
        "LastPingDateTime": now,
        "AgentVersion": node.agent_version,
        "IsLatestVersion": false,
        "PlatformType": "Linux",
        "PlatformName": "Amazon Linux",
        "PlatformVersion": "2023",
        "ResourceType": node.resource_type(),
        "IPAddress": "10.0.0.10",
        "ComputerName": "ip-10-0-0-10.ec2.internal",
    });
    if let (true, Some((_, name)), Some(described)) =
        (node.id.starts_with("mi-"), tag, described.as_object_mut())
    {
        // Only nodes outside EC2 have their name here.
        described.insert("Name".to_owned(), json!(name));
    }
    described
}

fn missing(field: &str) -> Failure {
    validation(&format!(
        "Value null at '{field}' failed to satisfy constraint: Member must not be null"
    ))
}

fn validation(message: &str) -> Failure {
    let message = format!("1 validation error detected: {message}");
    Failure::new(400, "ValidationException", &message)
}

/// Of `DescribeInstanceInformation`.
const FILTERS: &[&str] =
    &["InstanceIds", "PingStatus", "AgentVersion", "PlatformType", "ResourceType", "tag-key"];
