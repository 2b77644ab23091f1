//! Whose AWS is used: each key checked by itself, absent ones taken from the table above.

use super::super::{AssumeRole, Aws};
use super::Resolver;
use crate::error::ConfigError;
use crate::schema;

impl Resolver<'_> {
    /// A table's own settings, completed by those of the table above it.
    pub(super) fn aws(&self, key: &str, above: &Aws, own: schema::Aws) -> Result<Aws, ConfigError> {
        let error = |below: &str, message: String| self.error(&format!("{key}.{below}"), message);
        let role = own.assume_role.map(role);
        if let Some(role) = &role {
            assumable(role).map_err(|(below, message)| error(below, message))?;
        }
        for (below, value) in [("profile", &own.profile), ("region", &own.region)] {
            if value.as_deref() == Some("") {
                return Err(error(below, "is empty: leave it out, or name one".to_owned()));
            }
        }
        if let Some(region) = own.region.as_deref().filter(|region| !is_region(region)) {
            return Err(error("region", format!("`{region}` is no region, such as eu-west-1")));
        }
        if let Some(url) = &own.endpoint_url {
            endpoint_url(url).map_err(|message| error("endpoint_url", message))?;
        }
        Ok(Aws {
            profile: own.profile.or_else(|| above.profile.clone()),
            region: own.region.or_else(|| above.region.clone()),
            assume_role: role.or_else(|| above.assume_role.clone()),
            endpoint_url: own.endpoint_url.or_else(|| above.endpoint_url.clone()),
        })
    }
}

fn role(role: schema::AssumeRole) -> AssumeRole {
    match role {
        schema::AssumeRole::Arn(role_arn) => {
            AssumeRole { role_arn, external_id: None, session_name: None }
        }
        schema::AssumeRole::Table(table) => AssumeRole {
            role_arn: table.role_arn,
            external_id: table.external_id,
            session_name: table.session_name,
        },
    }
}

/// Source: API reference of STS, `AssumeRole`, for the lengths and characters.
fn assumable(role: &AssumeRole) -> Result<(), (&'static str, String)> {
    let arn = &role.role_arn;
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_role = matches!(
        parts.as_slice(),
        ["arn", partition, "iam", "", account, resource]
            if !partition.is_empty()
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
    );
    if !is_role {
        let message =
            format!("`{arn}` is no ARN of a role, such as arn:aws:iam::123456789012:role/NAME");
        return Err(("assume_role", message));
    }
    let fits = |text: &str, most: usize, others: &str| {
        let usual = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        (2..=most).contains(&text.len()) && text.chars().all(|c| usual(c) || others.contains(c))
    };
    if role.session_name.as_deref().is_some_and(|name| !fits(name, 64, "")) {
        let message = "has to be 2 to 64 letters, digits and _+=,.@-".to_owned();
        return Err(("assume_role.session_name", message));
    }
    if role.external_id.as_deref().is_some_and(|id| !fits(id, 1224, ":/")) {
        let message = "has to be 2 to 1224 letters, digits and _+=,.@:/-".to_owned();
        return Err(("assume_role.external_id", message));
    }
    Ok(())
}

/// It becomes part of host names and signatures.
fn is_region(text: &str) -> bool {
    text.contains('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Answers hold secrets: in the clear they go to this machine alone.
fn endpoint_url(url: &str) -> Result<(), String> {
    let host = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.to_ascii_lowercase()
    };
    let (scheme, host) = match url.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme, host(rest)),
        _ => return Err(format!("`{url}` is no URL, such as https://host:port")),
    };
    if host.is_empty() || host.contains('@') {
        return Err(format!("`{url}` names no host"));
    }
    if scheme == "http" && !is_this_machine(&host) {
        return Err(format!(
            "`{url}` would carry secrets in the clear to another machine; use https"
        ));
    }
    Ok(())
}

fn is_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    };
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
