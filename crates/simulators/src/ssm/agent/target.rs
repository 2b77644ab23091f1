//! What a host name means to an agent, and where it must not connect.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::{conditions::Conditions, document::Properties};

/// Resolves the session's host, once; the error is in the words of agent/plugins/port/port.go.
pub(super) fn resolve(
    conditions: &Conditions,
    properties: &Properties,
) -> Result<SocketAddr, String> {
    let host = properties.host.as_deref().unwrap_or("localhost");
    let settings = conditions.settings();
    let known = settings.names.get(host).copied();
    let literal = || host.parse::<IpAddr>().ok();
    let own = || (host == "localhost").then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let found = known.or_else(|| Some(SocketAddr::new(literal().or_else(own)?, 0)));
    let mut found = found.ok_or_else(|| format!("lookup {host}: no such host"))?;
    let reserved = FORBIDDEN.iter().any(|text| text.parse() == Ok(found.ip()));
    if reserved || settings.forbidden.contains(&found.ip()) {
        return Err(format!("Forwarding to IP address {} is forbidden.", found.ip()));
    }
    if found.port() == 0 {
        found.set_port(properties.port);
    }
    Ok(found)
}

/// Metadata, time, DNS and licence servers.
const FORBIDDEN: &[&str] = &[
    "169.254.169.254",
    "fd00:ec2::254",
    "169.254.169.253",
    "fd00:ec2::253",
    "169.254.169.123",
    "fd00:ec2::123",
    "169.254.169.250",
    "169.254.169.251",
    "fd00:ec2::240",
];
