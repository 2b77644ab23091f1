//! The way to a bastion: what the configuration, `ssh_config` and OpenSSH's defaults make of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use pgferry_transport_sdk::Error;

use crate::config::Config;
use crate::hop::{Agent, Hop, HostKeys, Identities, IdentityFile, Role};
use crate::surroundings::Surroundings;

/// The servers on the way to the database, the nearest first.
#[derive(Debug, Clone)]
pub struct Route {
    /// Those before the bastion.
    pub jumps: Vec<Hop>,
    /// The one that connects to the database.
    pub bastion: Hop,
}

impl Route {
    /// Finds the way that a configuration means.
    ///
    /// Errors: config: contradictions, an `ssh_config` that cannot be read or followed, chains that
    /// lead nowhere.
    pub fn resolve(config: &Config, here: &Surroundings) -> Result<Self, Error> {
        config.check().map_err(Error::config)?;
        let bastion = bastion(config, here);
        Ok(Self { jumps: Vec::new(), bastion })
    }

    /// All servers in the order in which they are connected to.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.jumps.iter().chain([&self.bastion])
    }
}

/// As messages name it.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bastion.fmt(f)?;
        for (index, jump) in self.jumps.iter().enumerate() {
            f.write_str(if index == 0 { " via " } else { ", " })?;
            f.write_str(&jump.place())?;
        }
        Ok(())
    }
}

fn bastion(config: &Config, here: &Surroundings) -> Hop {
    Hop {
        role: Role::Bastion,
        alias: config.host.clone(),
        host: config.host.clone(),
        port: config.port.map_or(22, Into::into),
        user: config.user.clone().unwrap_or_else(|| here.user.clone()),
        identities: identities(config, here),
        host_keys: HostKeys {
            files: known_hosts(config, here),
            alias: None,
            policy: config.host_key_policy.unwrap_or_default(),
        },
        keepalive_interval: config.keepalive_interval.map_or(KEEPALIVE_INTERVAL, |limit| limit.0),
        keepalive_max: config.keepalive_max.unwrap_or(KEEPALIVE_MAX),
        connect_timeout: None,
    }
}

fn identities(config: &Config, here: &Surroundings) -> Identities {
    let required = |path: &PathBuf| IdentityFile { path: path.clone(), required: true };
    let files: Vec<_> = config.key_file.iter().map(required).collect();
    let agent = config.agent.unwrap_or_else(|| files.is_empty() && here.has_agent());
    Identities {
        files,
        certificate_file: config.certificate_file.clone(),
        agent: agent.then_some(Agent::Environment),
        ..Identities::default()
    }
}

fn known_hosts(config: &Config, here: &Surroundings) -> Vec<PathBuf> {
    if let Some(file) = &config.known_hosts_file {
        return vec![file.clone()];
    }
    let Some(directory) = here.user_directory() else { return Vec::new() };
    vec![directory.join("known_hosts"), here.system.join("ssh_known_hosts")]
}

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_MAX: u8 = 3;
