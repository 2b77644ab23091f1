//! The calls of Session Manager.
//!
//! Source: the AWS Systems Manager API reference, `StartSession` and following.

use serde_json::{Value, json};

use super::{STREAM_QUERY, SessionManager, SessionState, record::SessionEnd, session::Session};
use crate::{
    aws::{
        ACCOUNT,
        call::{Incoming, Scheme},
        principal::Principal,
        reply::{Failure, Success},
    },
    sigv4::presign_path,
};

pub(crate) fn call(
    action: &str,
    incoming: &Incoming,
    caller: &Principal,
    (manager, region): (&SessionManager, &str),
) -> Result<Success, Failure> {
    let (body, scheme) = (incoming.json()?, incoming.scheme);
    let request = Request { body, caller, manager, region, scheme };
    match action {
        "StartSession" => request.start(incoming.request.header("host").unwrap_or_default()),
        "ResumeSession" => request.resume(incoming.request.header("host").unwrap_or_default()),
        "TerminateSession" => request.terminate(),
        "DescribeInstanceInformation" => request.describe_instances(),
        "DescribeSessions" => request.describe_sessions(),
        "GetConnectionStatus" => request.connection_status(),
        _ => Err(Failure::unknown_action(action, "2014-11-06")),
    }
}

pub(super) struct Request<'a> {
    pub(super) body: Value,
    pub(super) caller: &'a Principal,
    pub(super) manager: &'a SessionManager,
    pub(super) region: &'a str,
    scheme: Scheme,
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
            SessionState::Ended(SessionEnd::Expired | SessionEnd::Idle) => {
                Ok(Success::Json(json!({"SessionId": id})))
            }
            SessionState::Ended(_) => {
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

    /// The session named, if the caller may do `action` with it.
    fn session(&self, action: &str) -> Result<(&str, Option<std::sync::Arc<Session>>), Failure> {
        let id = self.text("SessionId", 96)?.ok_or_else(|| missing("sessionId"))?;
        let arn = format!("arn:aws:ssm:{}:{ACCOUNT}:session/{id}", self.region);
        self.caller.check(action, &arn)?;
        Ok((id, self.manager.session(id)))
    }

    fn opening(&self, session: &Session, called: &str) -> Success {
        let settings = self.manager.conditions().settings();
        let base = settings.stream_base.clone().unwrap_or_else(|| {
            let scheme = if self.scheme == Scheme::Https { "wss" } else { "ws" };
            format!("{scheme}://{called}")
        });
        let presigned = settings.presigned;
        drop(settings);
        let path = super::stream_path(&session.id);
        let query = if presigned { self.presigned(&base, &path) } else { STREAM_QUERY.to_owned() };
        Success::Json(json!({
            "SessionId": session.id,
            "TokenValue": session.new_token(),
            "StreamUrl": format!("{base}{path}?{query}"),
        }))
    }

    /// The parameters of a stream's address, signed.
    fn presigned(&self, base: &str, path: &str) -> String {
        let host = base.split_once("://").map_or(base, |(_, host)| host);
        let parameters = crate::sigv4::pairs(STREAM_QUERY);
        let texts = parameters.iter().map(|(name, value)| {
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            (text(name), text(value))
        });
        let scope = (self.region, "ssmmessages");
        let now = self.manager.conditions().clock.now();
        let key = &self.caller.credentials;
        presign_path((host, path), &texts.collect::<Vec<_>>(), key, scope, (now, PRESIGNED))
    }

    pub(super) fn text(&self, name: &str, longest: usize) -> Result<Option<&str>, Failure> {
        let value = match self.body.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value.as_str(),
        };
        let fits = value.filter(|value| (1..=longest).contains(&value.chars().count()));
        fits.map(Some).ok_or_else(|| {
            validation(&format!("Value at '{name}' must have between 1 and {longest} characters"))
        })
    }

    pub(super) fn resource(&self, target: &str) -> String {
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
    if !request.body.is_empty() || !request.query.starts_with(STREAM_QUERY) {
        return Err(Failure::new(400, "BadRequest", "This is not the address given out."));
    }
    let presigned = request.query.contains("X-Amz-Signature=");
    if presigned && request.header("authorization").is_some() {
        let message = "Only one way of signing is allowed.";
        return Err(Failure::new(400, "BadRequest", message));
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

pub(super) fn missing(field: &str) -> Failure {
    validation(&format!(
        "Value null at '{field}' failed to satisfy constraint: Member must not be null"
    ))
}

pub(super) fn validation(message: &str) -> Failure {
    let message = format!("1 validation error detected: {message}");
    Failure::new(400, "ValidationException", &message)
}

/// How long a presigned address is good for, in seconds.
const PRESIGNED: u64 = 300;
