//! EC2, as far as it describes the instances that Session Manager can reach.
//!
//! Source: `DescribeInstances` in the Amazon EC2 API reference.

use super::{
    ACCOUNT,
    call::Parameters,
    principal::Principal,
    reply::{Failure, Success},
    xml::{element, text},
};
use crate::ssm::ManagedInstance;

/// The region is the last part.
pub(super) fn instances(
    caller: &Principal,
    parameters: &Parameters,
    (nodes, region): (&[ManagedInstance], &str),
) -> Result<Success, Failure> {
    caller.check("ec2:DescribeInstances", &format!("arn:aws:ec2:{region}:{ACCOUNT}:*"))?;
    let nodes: Vec<_> = nodes.iter().filter(|node| node.id.starts_with("i-")).collect();
    let wanted = parameters.list("InstanceId");
    if let Some(missing) = wanted.iter().find(|id| nodes.iter().all(|node| node.id != **id)) {
        let message = format!("The instance ID '{missing}' does not exist");
        return Err(Failure::new(400, "InvalidInstanceID.NotFound", &message));
    }
    let filters = parameters.ec2_filters();
    if let Some((name, _)) = filters.iter().find(|(name, _)| !known(name)) {
        let message = format!("The filter '{name}' is invalid");
        return Err(Failure::new(400, "InvalidParameterValue", &message));
    }
    let found = nodes.into_iter().filter(|node| {
        (wanted.is_empty() || wanted.contains(&node.id.as_str()))
            && filters.iter().all(|(name, values)| {
                offered(node, name).iter().any(|value| values.contains(value))
            })
    });
    let reservations = found.map(|node| element("item", &reservation(node, region)));
    Ok(Success::Xml(element("reservationSet", &reservations.collect::<String>())))
}

fn known(filter: &str) -> bool {
    filter.starts_with("tag:")
        || ["instance-id", "instance-state-name", "tag-key"].contains(&filter)
}

/// What an instance has to offer to a filter.
fn offered<'a>(node: &'a ManagedInstance, filter: &str) -> Vec<&'a str> {
    if let Some(tag) = filter.strip_prefix("tag:") {
        let tags = node.tags.iter().filter(|(key, _)| key == tag);
        return tags.map(|(_, value)| value.as_str()).collect();
    }
    match filter {
        "instance-id" => vec![&node.id],
        "tag-key" => node.tags.iter().map(|(key, _)| key.as_str()).collect(),
        _ => vec![state(node).1],
    }
}

fn reservation(node: &ManagedInstance, region: &str) -> String {
    let (code, name) = state(node);
    let tags = node
        .tags
        .iter()
        .map(|(key, value)| element("item", &(text("key", key) + &text("value", value))));
    let instance = [
        text("instanceId", &node.id),
        element("instanceState", &(text("code", code) + &text("name", name))),
        text("instanceType", "t4g.nano"),
        element("placement", &text("availabilityZone", &format!("{region}a"))),
        text("privateIpAddress", "10.0.0.10"),
        element("tagSet", &tags.collect::<String>()),
    ];
    let instances = element("instancesSet", &element("item", &instance.concat()));
    text("reservationId", "r-0123456789abcdef0") + &text("ownerId", ACCOUNT) + &instances
}

/// Code and name.
fn state(node: &ManagedInstance) -> (&'static str, &'static str) {
    if node.is_online() { ("16", "running") } else { ("80", "stopped") }
}
