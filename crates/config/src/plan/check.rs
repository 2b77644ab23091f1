//! What must hold before a plan may run: nobody gets in unasked, no secret lies open, and what is
//! set for the database goes together.

mod access;
mod files;

use std::collections::HashMap;

use super::{Credential, LocalAuth, Plan, Target};
use crate::error::ConfigError;
use crate::listen::Listen;
pub(super) use files::secrets;

/// Whether the system can tell who owns the other end of a loopback TCP connection.
const TCP_OWNER_IS_KNOWN: bool = cfg!(target_os = "linux");

pub(super) fn plan(plan: &Plan) -> Result<(), ConfigError> {
    if let Some(admin) = &plan.admin
        && !admin.listen.ip().is_loopback()
    {
        let message = format!(
            "{} can be reached from other machines, and the admin listener has no login; use a \
             loopback address",
            admin.listen
        );
        return Err(ConfigError::meaning(&plan.file, "admin.listen", message));
    }
    for (key, limit) in plan.limits.durations() {
        if limit.is_zero() {
            let message = "is 0, but every wait needs a limit";
            return Err(ConfigError::meaning(&plan.file, format!("limits.{key}"), message));
        }
    }
    if plan.limits.connections == 0 {
        return Err(ConfigError::meaning(&plan.file, "limits.connections", "is 0"));
    }
    distinct_listeners(plan)?;
    for target in &plan.targets {
        local_auth(plan, target)?;
        local_tls(plan, target)?;
        access::access(plan, target)?;
    }
    Ok(())
}

fn distinct_listeners(plan: &Plan) -> Result<(), ConfigError> {
    let mut taken = HashMap::new();
    for target in &plan.targets {
        for listen in &target.listen {
            if matches!(listen, Listen::Tcp(address) if address.port() == 0) {
                continue;
            }
            if let Some(other) = taken.insert(listen, &target.name) {
                let message = format!("{listen} is already taken by target `{other}`");
                let key = format!("targets.{}.listen", target.name);
                return Err(ConfigError::meaning(&plan.file, key, message));
            }
        }
    }
    Ok(())
}

/// Any address that others can reach needs `scram`; `same-user` needs a system that tells owners.
fn local_auth(plan: &Plan, target: &Target) -> Result<(), ConfigError> {
    for listen in &target.listen {
        let message = match (&target.local_auth, listen) {
            (LocalAuth::Scram { .. }, _) => continue,
            (_, listen)
                if !listen.is_local() && matches!(target.credential, Credential::Passthrough) =>
            {
                format!(
                    "{listen} can be reached from other machines, where kind = \"passthrough\" \
                     would have passwords travel in the clear; listen on 127.0.0.1"
                )
            }
            (_, listen) if !listen.is_local() => format!(
                "{listen} can be reached from other machines; set local_auth = {{ kind = \
                 \"scram\", password_file = \"…\" }}, or listen on 127.0.0.1"
            ),
            (LocalAuth::SameUser, Listen::Tcp(_)) if !TCP_OWNER_IS_KNOWN => "this system cannot \
                 tell who owns the other end of a TCP connection; listen = { unix = \"/dir\" }, \
                 or set local_auth to scram or trust"
                .to_owned(),
            _ => continue,
        };
        let key = format!("targets.{}.local_auth", target.name);
        return Err(ConfigError::meaning(&plan.file, key, message));
    }
    Ok(())
}

/// As with PostgreSQL, no client speaks TLS on a unix socket: there it would be without effect.
fn local_tls(plan: &Plan, target: &Target) -> Result<(), ConfigError> {
    let on_tcp = target.listen.iter().any(|listen| matches!(listen, Listen::Tcp(_)));
    if target.local_tls.is_none() || on_tcp {
        return Ok(());
    }
    let key = format!("targets.{}.local_tls", target.name);
    let message = "is for TCP: no client speaks TLS on a unix socket; leave it out";
    Err(ConfigError::meaning(&plan.file, key, message))
}
