//! What a server is to be told apart by, and we with it: the transport's configuration, then
//! `ssh_config`, then OpenSSH's defaults.

use std::path::{Path, PathBuf};

use pgferry_transport_sdk::Error;

use crate::config::{Config, HostKeyPolicy};
use crate::hop::{Agent, HostKeys, Identities, IdentityFile, NamedBy, Role};
use crate::ssh_config::{AgentSetting, Settings};
use crate::surroundings::Surroundings;

/// The keys for a server. `key_file` and its certificate are the bastion's; a jump may have keys of
/// its own.
pub(crate) fn identities(
    role: Role,
    settings: &Settings,
    config: &Config,
    here: &Surroundings,
) -> Identities {
    if let (Role::Bastion, Some(instance)) = (role, config.instance()) {
        return Identities { instance: Some(instance.to_owned()), ..Identities::default() };
    }
    let own = config.key_file.as_ref();
    let (files, named_by) = match (&settings.identity_files, own) {
        (Some(files), own) if role == Role::Jump || own.is_none() => {
            (files.clone(), NamedBy::SshConfig)
        }
        (_, Some(own)) => (vec![own.clone()], NamedBy::Configuration),
        (_, None) => (default_files(here), NamedBy::Nobody),
    };
    let wants_agent = config.agent.unwrap_or(named_by != NamedBy::Configuration);
    let asked_for = config.agent == Some(true);
    let agent = match &settings.agent {
        _ if !wants_agent => None,
        Some(AgentSetting::Socket(path)) => Some(Agent::Socket(path.clone())),
        Some(AgentSetting::Off) if !asked_for => None,
        Some(AgentSetting::Environment) => Some(Agent::Environment),
        _ => (asked_for || here.has_agent()).then_some(Agent::Environment),
    };
    // With an agent of the configuration's own, its keys are meant and no others.
    let files = if asked_for && named_by == NamedBy::Nobody { Vec::new() } else { files };
    let own_key = role == Role::Bastion || named_by == NamedBy::Configuration;
    Identities {
        instance: None,
        certificate_file: config.certificate_file.clone().filter(|_| own_key),
        files: files.into_iter().map(|path| IdentityFile { path, named_by }).collect(),
        certificate_files: settings.certificate_files.clone(),
        agent,
        only_files: settings.identities_only && !asked_for,
    }
}

/// Where the server's host key is looked up.
///
/// Errors: config: files and policy together would accept any key.
pub(crate) fn host_keys(
    settings: &Settings,
    config: &Config,
    here: &Surroundings,
) -> Result<HostKeys, Error> {
    let policy = config.host_key_policy.or(settings.host_key_policy).unwrap_or_default();
    if let (Some(place), None) = (&settings.insecure, config.host_key_policy) {
        tracing::warn!(%place, "StrictHostKeyChecking no is not followed: host keys are checked");
    }
    let (alias, files) = (settings.host_key_alias.clone(), config.known_hosts_file.clone());
    if let Some(file) = files {
        return Ok(HostKeys { files: vec![file], alias, policy });
    }
    let own = here.user_directory().map(|directory| directory.join("known_hosts"));
    let user = settings.user_known_hosts.clone().unwrap_or_else(|| own.into_iter().collect());
    let user: Vec<_> = user.into_iter().filter(|file| file != Path::new("/dev/null")).collect();
    if user.is_empty() && policy == HostKeyPolicy::AcceptNew {
        let text = format!("every host key of {} would be accepted as new", settings.host);
        return Err(Error::config(text).with_hint(
            "set known_hosts_file, or UserKnownHostsFile in ssh_config to a real file",
        ));
    }
    let system = settings.global_known_hosts.clone();
    let system = system.unwrap_or_else(|| vec![here.system.join("ssh_known_hosts")]);
    Ok(HostKeys { files: user.into_iter().chain(system).collect(), alias, policy })
}

/// OpenSSH's own key files, where they exist.
fn default_files(here: &Surroundings) -> Vec<PathBuf> {
    let Some(directory) = here.user_directory() else { return Vec::new() };
    let names = ["id_ed25519", "id_ecdsa", "id_rsa"].into_iter();
    names.map(|name| directory.join(name)).filter(|path| path.exists()).collect()
}
