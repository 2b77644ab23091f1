//! What the lines for one host mean: values instead of words.

use std::path::PathBuf;
use std::time::Duration;

use pgferry_transport_sdk::Error;

use super::Query;
use super::jump::{self, Jump};
use super::keyword::{About, Meaning, Refusal, meaning};
use super::reader::{Directive, Found};
use super::tokens::Tokens;
use crate::config::HostKeyPolicy;
use crate::known_hosts::Place;
use crate::surroundings::Surroundings;

/// What `ssh_config` says about one host. What it does not mention is `None`, or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The name or address to connect to.
    pub host: String,
    /// `Port`.
    pub port: Option<u16>,
    /// `User`.
    pub user: Option<String>,
    /// `IdentityFile`; none left after `none` alone.
    pub identity_files: Option<Vec<PathBuf>>,
    /// `CertificateFile`.
    pub certificate_files: Vec<PathBuf>,
    /// `IdentitiesOnly`.
    pub identities_only: bool,
    /// `IdentityAgent`.
    pub agent: Option<AgentSetting>,
    /// `ProxyJump`, the nearest server first, and where it stands.
    pub jumps: Option<(Vec<Jump>, Place)>,
    /// `UserKnownHostsFile`.
    pub user_known_hosts: Option<Vec<PathBuf>>,
    /// `GlobalKnownHostsFile`.
    pub global_known_hosts: Option<Vec<PathBuf>>,
    /// `HostKeyAlias`.
    pub host_key_alias: Option<String>,
    /// `StrictHostKeyChecking`.
    pub host_key_policy: Option<HostKeyPolicy>,
    /// Where `StrictHostKeyChecking no` stands, which is not followed.
    pub insecure: Option<Place>,
    /// `ServerAliveInterval`, if it is on.
    pub alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`, if it is on.
    pub alive_count_max: Option<u8>,
    /// `ConnectTimeout`.
    pub connect_timeout: Option<Duration>,
}

/// `IdentityAgent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentSetting {
    /// None is asked.
    Off,
    /// The one that `SSH_AUTH_SOCK` names.
    Environment,
    /// The one that listens there.
    Socket(PathBuf),
}

impl Settings {
    /// Errors: config: a line that cannot be understood, or not be followed.
    pub(crate) fn new(
        found: &Found,
        host: String,
        query: &Query<'_>,
        here: &Surroundings,
    ) -> Result<Self, Error> {
        refuse(found, query)?;
        let mut settings = Self { host, ..Self::default() };
        for directive in found.first.values() {
            let set = settings.set(directive, here);
            set.map_err(|text| wrong(directive, &text))?;
        }
        settings.expand(found, query, here)?;
        Ok(settings)
    }

    fn set(&mut self, directive: &Directive, here: &Surroundings) -> Result<(), String> {
        let one = || match directive.arguments.as_slice() {
            [value] if !value.is_empty() => Ok(value.as_str()),
            _ => Err("takes one value".to_owned()),
        };
        match directive.keyword.as_str() {
            "port" => self.port = Some(port(one()?)?),
            "user" => self.user = Some(one()?.to_owned()),
            "identitiesonly" => self.identities_only = flag(one()?)?,
            "hostkeyalias" => self.host_key_alias = Some(one()?.to_lowercase()),
            "stricthostkeychecking" => {
                (self.host_key_policy, self.insecure) = policy(one()?, &directive.place)?;
            }
            "serveraliveinterval" => self.alive_interval = time(one()?)?.filter(|t| !t.is_zero()),
            "serveralivecountmax" => {
                let count: u32 = one()?.parse().map_err(|_| "is not a number".to_owned())?;
                let count = u8::try_from(count).unwrap_or(u8::MAX);
                self.alive_count_max = Some(count).filter(|&count| count > 0);
            }
            "connecttimeout" => self.connect_timeout = time(one()?)?.filter(|t| !t.is_zero()),
            "proxyjump" => {
                self.jumps = Some((jump::list(&directive.rest)?, directive.place.clone()));
            }
            "identityagent" => self.agent = Some(agent(one()?, here)?),
            "globalknownhostsfile" => {
                let plain = |name: &String| Ok(PathBuf::from(name));
                self.global_known_hosts = Some(files(&directive.arguments, plain)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// The values with tokens: they may use the others.
    fn expand(
        &mut self,
        found: &Found,
        query: &Query<'_>,
        here: &Surroundings,
    ) -> Result<(), Error> {
        let host = self.host.clone();
        let mut tokens = Tokens {
            host: &host,
            original_host: query.host,
            host_key_alias: self.host_key_alias.as_deref(),
            port: query.port.or(self.port).unwrap_or(22),
            user: "",
            jump: self.jumps.as_ref().and_then(|(jumps, _)| jumps.last()).map_or("", |j| &j.host),
            here,
        };
        if let (Some(user), Some(line)) = (&mut self.user, found.first.get("user")) {
            *user = tokens.text(user).map_err(|text| wrong(line, &text))?;
        }
        let user = query.user.or(self.user.as_deref()).unwrap_or(&here.user);
        tokens.user = user;
        let path =
            |line: &Directive, text: &str| tokens.path(text).map_err(|text| wrong(line, &text));
        let all = |lines: &[Directive]| {
            let named = lines.iter().filter_map(|line| Some((line, line.arguments.first()?)));
            let named = named.filter(|(_, name)| !name.eq_ignore_ascii_case("none"));
            named.map(|(line, name)| path(line, name)).collect::<Result<Vec<_>, Error>>()
        };
        let one_each = found.identity_files.iter().chain(&found.certificate_files);
        if let Some(line) = one_each.into_iter().find(|line| line.arguments.len() != 1) {
            return Err(wrong(line, "takes one value"));
        }
        let identities = all(&found.identity_files)?;
        let certificates = all(&found.certificate_files)?;
        let known = match found.first.get("userknownhostsfile") {
            Some(line) => {
                let each = |name: &String| tokens.path(name);
                Some(files(&line.arguments, each).map_err(|text| wrong(line, &text))?)
            }
            None => None,
        };
        let socket = match (&self.agent, found.first.get("identityagent")) {
            (Some(AgentSetting::Socket(value)), Some(line)) => {
                Some(path(line, &value.to_string_lossy())?)
            }
            _ => None,
        };
        self.identity_files = (!found.identity_files.is_empty()).then_some(identities);
        self.certificate_files = certificates;
        self.user_known_hosts = known;
        if let Some(socket) = socket {
            self.agent = Some(AgentSetting::Socket(socket));
        }
        Ok(())
    }
}

/// The first line that would have to be followed and cannot be.
fn refuse(found: &Found, query: &Query<'_>) -> Result<(), Error> {
    for directive in found.first.values() {
        let Meaning::Refused(refusal) = meaning(&directive.keyword) else { continue };
        if !is_moot(refusal, directive, query) {
            let Directive { keyword, place, .. } = directive;
            let text = format!("{place}: {keyword} is not supported for host {}", query.host);
            return Err(Error::config(text)
                .with_hint(format!("{}; ssh_config = false reads nothing", refusal.instead)));
        }
    }
    Ok(())
}

/// Whether a line that cannot be followed changes nothing, or is overruled.
fn is_moot(refusal: &Refusal, directive: &Directive, query: &Query<'_>) -> bool {
    let value = directive.arguments.first().map(String::as_str).unwrap_or_default();
    let neutral = refusal.neutral.iter().any(|neutral| value.eq_ignore_ascii_case(neutral));
    neutral
        || match refusal.about {
            About::Jumps => query.has_jumps,
            About::Keys => query.has_keys,
            About::KnownHosts => query.has_known_hosts,
            About::Else => false,
        }
}

fn wrong(directive: &Directive, text: &str) -> Error {
    Error::config(format!("{}: {}: {text}", directive.place, directive.keyword))
}

fn port(value: &str) -> Result<u16, String> {
    let port = value.parse().ok().filter(|&port| port > 0);
    port.ok_or_else(|| format!("{value:?} is not a port"))
}

fn flag(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(format!("{value:?} is neither yes nor no")),
    }
}

/// Nobody can be asked, and nothing unknown is taken for granted.
fn policy(value: &str, place: &Place) -> Result<(Option<HostKeyPolicy>, Option<Place>), String> {
    let strict = Some(HostKeyPolicy::Strict);
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "ask" => Ok((strict, None)),
        "accept-new" => Ok((Some(HostKeyPolicy::AcceptNew), None)),
        "no" | "false" | "off" => Ok((strict, Some(place.clone()))),
        _ => Err(format!("{value:?} is none of yes, ask, accept-new and no")),
    }
}

/// A time in the format of `sshd_config(5)`, TIME FORMATS: `90`, `1m30s`; none is `none`.
fn time(value: &str) -> Result<Option<Duration>, String> {
    if value == "none" {
        return Ok(None);
    }
    let wrong = || format!("{value:?} is not a time");
    let (mut seconds, mut rest) = (0_u64, value);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let mut unit = after.chars();
        let factor = match unit.next().map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some(_) => return Err(wrong()),
        };
        seconds =
            number.checked_mul(factor).and_then(|n| n.checked_add(seconds)).ok_or_else(wrong)?;
        rest = unit.as_str();
    }
    // OpenSSH counts in an int.
    if seconds > 0x7fff_ffff { Err(wrong()) } else { Ok(Some(Duration::from_secs(seconds))) }
}

fn agent(value: &str, here: &Surroundings) -> Result<AgentSetting, String> {
    if value.eq_ignore_ascii_case("none") {
        return Ok(AgentSetting::Off);
    }
    if value == "SSH_AUTH_SOCK" {
        return Ok(AgentSetting::Environment);
    }
    match value.strip_prefix('$').filter(|name| !name.starts_with('{')) {
        Some(name) => {
            let path = here.variables.get(name).ok_or_else(|| format!("{name} is not set"))?;
            // What the variable holds is not expanded again.
            Ok(AgentSetting::Socket(path.replace('%', "%%").into()))
        }
        None => Ok(AgentSetting::Socket(value.into())),
    }
}

/// Several files, or `none` alone.
fn files(
    names: &[String],
    path: impl FnMut(&String) -> Result<PathBuf, String>,
) -> Result<Vec<PathBuf>, String> {
    match names {
        [none] if none.eq_ignore_ascii_case("none") => Ok(Vec::new()),
        names if names.iter().any(|name| name.eq_ignore_ascii_case("none")) => {
            Err("none must stand alone".to_owned())
        }
        names => names.iter().map(path).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_and_have_a_bound() {
        for (text, seconds) in [("90", 90), ("1m30s", 90), ("2H", 7200), ("1w1d", 691_200)] {
            assert_eq!(time(text), Ok(Some(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!(time("none"), Ok(None));
        for text in ["x", "1y", "m", "-1", "9999999999", "1.5"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
