//! The calls that list machines and sessions.

use serde_json::{Value, json};

use super::{
    SessionRecord,
    api::{Request, missing, validation},
    inventory::ManagedInstance,
};
use crate::aws::{
    ACCOUNT,
    reply::{Failure, Success},
};

impl Request<'_> {
    pub(super) fn describe_instances(&self) -> Result<Success, Failure> {
        self.check_all("ssm:DescribeInstanceInformation")?;
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

    /// `State` is `Active` or `History`, as the API has it.
    pub(super) fn describe_sessions(&self) -> Result<Success, Failure> {
        self.check_all("ssm:DescribeSessions")?;
        let ended = match self.text("State", 16)? {
            Some("Active") => false,
            Some("History") => true,
            _ => return Err(validation("Value at 'state' must be Active or History")),
        };
        let sessions = self.manager.sessions().into_iter().filter(|it| it.ended() == ended);
        let listed: Vec<_> = sessions.map(|session| listed(&session)).collect();
        Ok(Success::Json(json!({"Sessions": listed})))
    }

    pub(super) fn connection_status(&self) -> Result<Success, Failure> {
        let target = self.text("Target", 400)?.ok_or_else(|| missing("target"))?;
        self.caller.check("ssm:GetConnectionStatus", &self.resource(target))?;
        let online = self.manager.online(target).is_some();
        let status = if online { "connected" } else { "notconnected" };
        Ok(Success::Json(json!({"Target": target, "Status": status})))
    }

    fn check_all(&self, action: &str) -> Result<(), Failure> {
        self.caller.check(action, &format!("arn:aws:ssm:{}:{ACCOUNT}:*", self.region))
    }
}

fn listed(session: &SessionRecord) -> Value {
    json!({
        "SessionId": session.id,
        "Target": session.target,
        "Status": if session.ended() { "Terminated" } else { "Connected" },
        "Owner": session.owner,
        "Reason": session.reason,
        "DocumentName": session.document,
    })
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

/// Of `DescribeInstanceInformation`.
const FILTERS: &[&str] =
    &["InstanceIds", "PingStatus", "AgentVersion", "PlatformType", "ResourceType", "tag-key"];
