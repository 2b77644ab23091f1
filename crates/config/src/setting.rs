//! The settings in force and where each comes from.

mod aws;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use pgferry_endpoint::Roots;
use serde_json::Value;

use crate::entry::{Entry, Step, dotted};
use crate::paths;
use crate::plan::Plan;

/// One setting in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its key, as it would be written in the file.
    pub key: String,
    /// Its value; masked where that is a secret, absolute where it is a path.
    pub value: Value,
    /// What was found out about it: whether a variable is set, whether a file is there and who may
    /// read it.
    pub note: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file, counted from 1.
    Line(usize),
    /// Nobody has set it.
    Default,
}

/// The settings of a file, completed by defaults, in the order of their keys.
pub(crate) fn settings(entries: &[Entry], plan: &Plan) -> Vec<Setting> {
    let values = entries.iter().filter(|entry| !entry.is_empty_table());
    let written = values.map(|entry| (entry.path.clone(), of_entry(entry, &plan.file)));
    let set: BTreeSet<Vec<Step>> = entries.iter().map(|entry| entry.path.clone()).collect();
    let free = |(path, _): &(Vec<Step>, Setting)| !set.iter().any(|is| is.starts_with(path));
    let defaults = defaults(plan, &set).into_iter().map(|(path, value)| {
        let key = dotted(&path);
        (path, Setting { key, value, note: None, origin: Origin::Default })
    });
    let unwritten = defaults.chain(aws::inherited(entries, plan)).filter(free);
    let mut all: Vec<_> = written.chain(unwritten).collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all.into_iter().map(|(_, setting)| setting).collect()
}

fn of_entry(entry: &Entry, file: &Path) -> Setting {
    let base = file.parent().unwrap_or(file);
    let (value, note) = match (Kind::of(&entry.keys()), entry.value.as_str()) {
        (Kind::Variable, Some(name)) => (entry.value.clone(), Some(variable(name))),
        (Kind::File, Some(path)) => {
            let path = paths::resolve(base, Path::new(path));
            (path.to_string_lossy().into(), Some(mode(&path)))
        }
        (Kind::Pgpass, _) if entry.value == true => {
            let file = paths::pgpass();
            let note = file.map(|file| format!("{}: {}", file.display(), mode(&file)));
            (entry.value.clone(), note)
        }
        (Kind::Password, _) => (entry.value.clone(), Some(mode(file))),
        _ => (entry.value.clone(), None),
    };
    Setting { key: dotted(&entry.path), value, note, origin: Origin::Line(entry.line) }
}

/// What a value stands for, as far as something can be said about it.
enum Kind {
    Plain,
    Variable,
    File,
    /// libpq's own password file.
    Pgpass,
    /// A secret in the configuration file: what counts is who can read that.
    Password,
}

impl Kind {
    fn of(keys: &[&str]) -> Self {
        match keys {
            [.., "credential", "password"] => Self::Password,
            [.., "credential", "pgpass"] => Self::Pgpass,
            [.., "secrets", _, "env"] | [.., "credential", "password_env"] => Self::Variable,
            [.., "secrets", _, "file"]
            | ["transports", _, "path"]
            | ["targets", _, "transport", "path"] => Self::File,
            [.., last] if last.ends_with("_file") => Self::File,
            _ => Self::Plain,
        }
    }
}

fn variable(name: &str) -> String {
    let is = if std::env::var_os(name).is_some() { "set" } else { "not set" };
    format!("{is} in the environment")
}

fn mode(path: &Path) -> String {
    match fs::metadata(path) {
        Err(error) => error.to_string(),
        Ok(metadata) => {
            let mode = metadata.mode() & 0o7777;
            let who = if mode & 0o077 > 0 { "others may use it" } else { "private" };
            format!("mode {mode:04o}, {who}")
        }
    }
}

/// What holds unless the file says otherwise.
fn defaults(plan: &Plan, set: &BTreeSet<Vec<Step>>) -> Vec<(Vec<Step>, Value)> {
    let limits = plan.limits.durations().map(|(key, limit)| (vec!["limits", key], span(limit)));
    let mut all: Vec<_> = limits.map(|(keys, value)| (path(&keys), value)).collect();
    all.push((path(&["limits", "connections"]), plan.limits.connections.into()));
    all.push((path(&["relay", "threads"]), plan.relay_threads.into()));
    all.push((path(&["admin", "listen"]), Value::Null));
    for target in &plan.targets {
        let at = |below: &[&str]| path(&[&["targets", &target.name], below].concat());
        let endpoint = target.database.endpoint();
        if let Some(endpoint) = &endpoint {
            all.push((at(&["database", "port"]), endpoint.port.into()));
        }
        let name = target.database.name.as_deref().unwrap_or("the application's");
        all.push((at(&["database", "name"]), name.into()));
        all.push((at(&["database", "tls"]), "verify-full".into()));
        let believed = endpoint.map_or_else(
            || "of the endpoint that is found".to_owned(),
            |endpoint| roots(&endpoint.host),
        );
        all.push((at(&["database", "ca_file"]), believed.into()));
        all.push((at(&["local_auth", "kind"]), "same-user".into()));
        if !set.iter().any(|is| is.starts_with(&at(&["transport"]))) {
            all.push((at(&["transport", "kind"]), "direct".into()));
        }
    }
    for transport in &plan.transports {
        let shared = path(&["transports", &transport.name]);
        let own = path(&["targets", &transport.name, "transport"]);
        let mut at = if set.iter().any(|is| is.starts_with(&shared)) { shared } else { own };
        at.push(Step::Key("max_opens".to_owned()));
        all.push((at, transport.max_opens.into()));
    }
    all
}

/// Whose signature counts for a host when no file says so.
fn roots(host: &str) -> String {
    Roots::of(host).map_or_else(
        |none| format!("none for {} in this build", none.region),
        |roots| roots.to_string(),
    )
}

fn path(keys: &[&str]) -> Vec<Step> {
    keys.iter().map(|key| Step::Key((*key).to_owned())).collect()
}

/// A duration as people write it.
fn span(duration: Duration) -> Value {
    let millis = duration.as_millis();
    let written = match millis {
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    };
    written.into()
}
