//! The way to a bastion: what the configuration, `ssh_config` and OpenSSH's defaults make of it.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use pgferry_transport_sdk::Error;

use crate::config::Config;
use crate::hop::{Hop, Identities, Role};
use crate::login;
use crate::ssh_config::{Jump, Query, Settings, SshConfig};
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
    /// Finds the way that a configuration means, and reads `ssh_config` for it.
    ///
    /// Like OpenSSH: of several jumps in a row, only the first has a way of its own.
    ///
    /// Errors: config: contradictions, an `ssh_config` that cannot be read or followed, a way that
    /// leads back to itself or is too long.
    pub fn resolve(config: &Config, here: &Surroundings) -> Result<Self, Error> {
        config.check().map_err(Error::config)?;
        let files = SshConfig::of(config, here);
        let wanted = Wanted::bastion(config)?;
        let (bastion, mut before) = wanted.resolve(&files, config, here)?;
        let mut jumps: VecDeque<Hop> = VecDeque::new();
        while let Some(jump) = before.pop() {
            let decided = (!before.is_empty()).then(|| std::mem::take(&mut before));
            let wanted = Wanted { role: Role::Jump, place: jump, before: decided };
            let (hop, own) = wanted.resolve(&files, config, here)?;
            check_way(&hop, &jumps, &bastion)?;
            jumps.push_front(hop);
            before = own;
        }
        Ok(Self { jumps: jumps.into(), bastion })
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

/// A server as the user names it.
struct Wanted {
    role: Role,
    place: Jump,
    /// The servers before it, if that is decided.
    before: Option<Vec<Jump>>,
}

impl Wanted {
    fn bastion(config: &Config) -> Result<Self, Error> {
        let wrong = |text| Error::config(format!("jump: {text}"));
        let parsed = |jumps: &Vec<String>| jumps.iter().map(|jump| jump.parse()).collect();
        let before: Option<Result<_, String>> = config.jump.as_ref().map(parsed);
        let place = Jump {
            user: config.user.clone(),
            host: config.host.clone(),
            port: config.port.map(Into::into),
        };
        Ok(Self { role: Role::Bastion, place, before: before.transpose().map_err(wrong)? })
    }

    /// The server, and those before it.
    fn resolve(
        self,
        files: &SshConfig,
        config: &Config,
        here: &Surroundings,
    ) -> Result<(Hop, Vec<Jump>), Error> {
        let Self { role, place, before } = self;
        let named = config.key_file.is_some() || config.instance().is_some();
        let own_keys = named || config.agent == Some(true);
        let query = Query {
            host: &place.host,
            user: place.user.as_deref(),
            port: place.port,
            has_jumps: before.is_some(),
            has_keys: own_keys && role == Role::Bastion,
            has_known_hosts: config.known_hosts_file.is_some(),
        };
        let mut settings = files.look_up(&query, here)?;
        let own = settings.jumps.take().map(|(jumps, _)| jumps);
        let hop = hop(role, place, settings, config, here)?;
        Ok((hop, before.or(own).unwrap_or_default()))
    }
}

fn hop(
    role: Role,
    place: Jump,
    settings: Settings,
    config: &Config,
    here: &Surroundings,
) -> Result<Hop, Error> {
    let identities = login::identities(role, &settings, config, here);
    let host_keys = login::host_keys(&settings, config, here)?;
    let interval = config.keepalive_interval.map(|limit| limit.0);
    let user = place.user.or(settings.user).unwrap_or_else(|| here.user.clone());
    let hop = Hop {
        role,
        alias: place.host,
        host: settings.host,
        port: place.port.or(settings.port).unwrap_or(22),
        user,
        identities,
        host_keys,
        keepalive_interval: interval.or(settings.alive_interval).unwrap_or(KEEPALIVE_INTERVAL),
        keepalive_max: config.keepalive_max.or(settings.alive_count_max).unwrap_or(KEEPALIVE_MAX),
        connect_timeout: settings.connect_timeout,
    };
    let Identities { instance, files, agent, .. } = &hop.identities;
    if instance.is_none() && files.is_empty() && agent.is_none() {
        let text = format!("there is no key to log in to {hop} with");
        return Err(Error::config(text).with_hint(
            "set key_file, or agent = true, or IdentityFile in ssh_config; there is no ssh-agent \
             and no ~/.ssh/id_ed25519, id_ecdsa or id_rsa",
        ));
    }
    Ok(hop)
}

fn check_way(hop: &Hop, behind: &VecDeque<Hop>, bastion: &Hop) -> Result<(), Error> {
    let mut rest = behind.iter().chain([bastion]);
    let same = |other: &Hop| (&other.host, other.port) == (&hop.host, hop.port);
    if rest.any(|other| same(other) && other.user == hop.user) {
        let way: Vec<_> = behind.iter().chain([bastion]).map(Hop::place).collect();
        let way = way.join(", then ");
        let text = format!("the way leads in a circle: {}, then {way}", hop.place());
        return Err(Error::config(text).with_hint("correct jump, or ProxyJump in ssh_config"));
    }
    if behind.len() + 1 > MAX_JUMPS {
        let text = format!("more than {MAX_JUMPS} jumps to {bastion}");
        return Err(Error::config(text).with_hint("correct jump, or ProxyJump in ssh_config"));
    }
    Ok(())
}

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_MAX: u8 = 3;
/// Far more than anybody needs; each costs several round trips.
const MAX_JUMPS: usize = 8;
