//! What a file can do to the person who runs it, beyond connecting somewhere.
//!
//! [`RULES`] is the whole policy. A key that is not in it counts as a power, so that a new key is
//! refused in a repository until somebody has thought about it and written its line.

use std::path::Path;

use serde_json::Value;

use crate::entry::{Entry, dotted};
use crate::listen::Listen;
use crate::paths;

/// Something that a file from a repository may do only after the person has agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Power {
    /// Its line, counted from 1.
    pub line: usize,
    /// The key that asks for it.
    pub key: String,
    /// What it does, in words, with the value that was written.
    pub what: String,
}

/// When a key is a power.
enum Rule {
    /// Never.
    Harmless,
    /// Whatever its value is. The words say what it does with the value.
    Always(&'static str),
    /// Unless it has one of these values.
    Unless(&'static [&'static str], &'static str),
    /// If the path leads out of the file's directory.
    Outside(&'static str),
    /// If other machines can reach the address.
    Reachable,
    /// Unless it is a transport that takes nothing of the person's without being told to.
    Kind,
}

use Rule::{Always, Harmless, Kind, Outside, Reachable, Unless};

const READS: &str = "uses a file outside its directory:";
const LISTENS: &str = "makes a socket outside its directory:";
const SENDS_FILE: &str = "hands over the secret in the file";
const ASKS_AWS: &str = "asks RDS, with your AWS credentials, for";
const AS_ROLE: &str = "takes on, with your AWS credentials, the role";
const ELSEWHERE: &str = "sends requests that your AWS credentials sign to";
const AS_PROFILE: &str = "uses your AWS profile";
const GRANTS_AWS: &str = "hands your AWS credentials to the transport:";
const SENDS_ENV: &str = "hands over the environment variable";

/// What each key may do. `*` stands for any name; `transport` for a transport wherever it is
/// written, and the name of a kind for the keys of that kind.
const RULES: &[(&str, Rule)] = &[
    ("admin.listen", Reachable),
    ("aws.profile", Always(AS_PROFILE)),
    ("aws.region", Harmless),
    ("aws.endpoint_url", Always(ELSEWHERE)),
    ("aws.assume_role", Always(AS_ROLE)),
    ("aws.assume_role.role_arn", Always(AS_ROLE)),
    ("aws.assume_role.external_id", Harmless),
    ("aws.assume_role.session_name", Harmless),
    ("limits.*", Harmless),
    ("relay.threads", Harmless),
    ("targets.*.listen", Reachable),
    ("targets.*.listen.unix", Outside(LISTENS)),
    ("targets.*.listen.port", Harmless),
    ("targets.*.database.host", Harmless),
    ("targets.*.database.port", Harmless),
    ("targets.*.database.cluster", Always(ASKS_AWS)),
    ("targets.*.database.instance", Always(ASKS_AWS)),
    ("targets.*.database.role", Harmless),
    ("targets.*.database.name", Harmless),
    ("targets.*.database.address", Harmless),
    ("targets.*.database.ca_file", Outside(READS)),
    ("targets.*.database.tls", Unless(&["verify-full"], "does not verify the database:")),
    ("targets.*.transport", Harmless),
    ("targets.*.credential.kind", Unless(&["password"], "logs in with credentials of yours:")),
    ("targets.*.credential.user", Harmless),
    ("targets.*.credential.password", Harmless),
    ("targets.*.credential.password_env", Always(SENDS_ENV)),
    ("targets.*.credential.password_file", Always(SENDS_FILE)),
    ("targets.*.credential.password_command", Always("runs a command:")),
    ("targets.*.credential.pgpass_file", Outside(READS)),
    ("targets.*.credential.pgpass", Unless(&["false"], "reads the password in your ~/.pgpass:")),
    (
        "targets.*.credential.secret",
        Always("reads with your AWS credentials, and hands over, the secret"),
    ),
    ("targets.*.credential.user_key", Harmless),
    ("targets.*.credential.password_key", Harmless),
    ("targets.*.credential.cert_file", Outside(READS)),
    ("targets.*.credential.key_file", Outside("logs in with a key outside its directory:")),
    (
        "targets.*.local_auth.kind",
        Unless(&["same-user", "scram"], "lets in everybody on this machine:"),
    ),
    ("targets.*.local_auth.user", Harmless),
    ("targets.*.local_auth.password_file", Outside(READS)),
    ("targets.*.local_tls.kind", Unless(&["certificate", "local-ca"], "does something new:")),
    ("targets.*.local_tls.cert_file", Outside(READS)),
    ("targets.*.local_tls.key_file", Outside(READS)),
    ("targets.*.local_tls.required", Harmless),
    ("transport.kind", Kind),
    ("transport.path", Always("loads a library into pgferry:")),
    ("transport.sha256", Harmless),
    ("transport.via", Harmless),
    ("transport.max_opens", Harmless),
    ("transport.aws", Always(GRANTS_AWS)),
    ("transport.aws.*", Always(GRANTS_AWS)),
    ("transport.aws.*.*", Always(GRANTS_AWS)),
    ("transport.secrets.*.env", Always(SENDS_ENV)),
    ("transport.secrets.*.file", Always(SENDS_FILE)),
    ("exec.command", Always("runs a command:")),
    ("ssh.host", Harmless),
    ("ssh.port", Harmless),
    ("ssh.user", Harmless),
    ("ssh.key", Always("has a key of its own let in with your AWS credentials:")),
    ("ssh.instance", Harmless),
    ("ssh.key_file", Outside("logs in with a key outside its directory:")),
    ("ssh.agent", Unless(&["false"], "logs in with the keys of your ssh-agent:")),
    ("ssh.certificate_file", Outside(READS)),
    ("ssh.jump", Harmless),
    ("ssh.ssh_config", Unless(&["false"], "does what your ~/.ssh/config says for its host:")),
    ("ssh.ssh_config_file", Always("does what another ssh_config says:")),
    ("ssh.known_hosts_file", Outside(READS)),
    ("ssh.host_key_policy", Unless(&["strict"], "believes and records host keys by itself:")),
    ("ssh.keepalive_interval", Harmless),
    ("ssh.keepalive_max", Harmless),
    ("ssh.idle_timeout", Harmless),
    ("ssh.sessions_per_connection", Harmless),
    ("data-api.resume_wait", Harmless),
    ("data-api.idle_in_transaction", Harmless),
    ("ssm.instance", Harmless),
    ("ssm.name", Harmless),
    ("ssm.tags.*", Harmless),
    ("ssm.document", Harmless),
    ("ssm.reason", Harmless),
    ("ssm.max_sessions", Harmless),
    ("ssm.open_ahead", Harmless),
    ("ssm.idle_timeout", Harmless),
    ("ssm.keep_alive", Always("keeps sessions alive beyond your organisation's idle timeout:")),
    ("ssm.resume_for", Harmless),
    ("ssm.boot_wait", Harmless),
    ("ssm.messages_per_second", Harmless),
    ("ssm.messages_endpoint", Always("sends your sessions to another address:")),
    ("ssm.sign", Harmless),
];

/// Every power that the entries of a file ask for, by line. `tree` is the directory of the file.
pub(crate) fn powers(entries: &[Entry], tree: &Path) -> Vec<Power> {
    let judge = Judge { entries, tree };
    let mut powers: Vec<_> = entries.iter().filter_map(|entry| judge.power(entry)).collect();
    powers.sort_by_key(|power| power.line);
    powers
}

struct Judge<'a> {
    entries: &'a [Entry],
    tree: &'a Path,
}

impl Judge<'_> {
    fn power(&self, entry: &Entry) -> Option<Power> {
        let keys = entry.keys();
        let value = match &entry.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let rule = self.rule(&keys);
        let harmless = match rule {
            None => entry.is_empty_table(),
            Some(Always(_)) => false,
            Some(Harmless) => true,
            Some(Unless(values, _)) => values.contains(&value.as_str()),
            Some(Outside(_)) => self.inside(&value),
            // What is no address at all is refused later, and for that.
            Some(Reachable) => Listen::tcp(&value).map_or(true, |listen| listen.is_local()),
            Some(Kind) => value == "direct" || value == "ssh" && self.modest(&keys),
        };
        if harmless {
            return None;
        }
        let words = match rule {
            Some(Always(words) | Unless(_, words) | Outside(words)) => words,
            Some(Kind) if value == "ssh" => {
                "may log in with your ssh keys and agent, as your ~/.ssh/config says (it has not all \
                 of key_file, agent = false and ssh_config = false):"
            }
            Some(Kind) if value == "ssm" => "starts sessions with your AWS credentials:",
            Some(Kind) if value == "data-api" => "runs SQL with your AWS credentials:",
            Some(Kind) => "runs other code, with settings of its choice:",
            Some(Reachable) => "listens where other machines can connect:",
            Some(Harmless) | None => "does something that is not known to be harmless:",
        };
        let towards = self.receiver(&keys).map(|host| format!(", for {host}")).unwrap_or_default();
        let what = shown(&format!("{words} {value}{towards}"));
        Some(Power { line: entry.line, key: dotted(&entry.path), what })
    }

    /// Whether an ssh transport says what to log in with, and so leaves the person's own alone:
    /// without these keys it takes the agent and what `~/.ssh/config` names.
    fn modest(&self, kind: &[&str]) -> bool {
        let Some((table, _)) = transport(kind) else { return false };
        let off = |key| self.value(table, key) == Some(&Value::Bool(false));
        let key = ["key_file", "key"].iter().any(|key| self.value(table, key).is_some());
        off("agent") && off("ssh_config") && key
    }

    fn inside(&self, value: &str) -> bool {
        paths::inside(self.tree, &paths::resolve(self.tree, Path::new(value)))
    }

    fn rule(&self, keys: &[&str]) -> Option<&'static Rule> {
        // A target's table has the keys of the one for all.
        let keys = match keys {
            ["targets", _, "aws", below @ ..] => &[&["aws"], below].concat(),
            _ => keys,
        };
        let Some((table, below)) = transport(keys) else { return find(keys) };
        let kind = self.text(table, "kind").unwrap_or_default();
        let of = |name| std::iter::once(name).chain(below.iter().copied()).collect::<Vec<_>>();
        // A kind called like one of the tables would find that table's rules.
        let of_kind =
            ["data-api", "exec", "ssh", "ssm"].contains(&kind).then(|| find(&of(kind))).flatten();
        find(&of("transport")).or(of_kind)
    }

    /// Who gets what a credential or a transport hands over.
    fn receiver(&self, keys: &[&str]) -> Option<&str> {
        match keys {
            ["targets", target, "credential", ..] => {
                let database = ["targets", target, "database"];
                let of = |key| self.text(&database, key);
                of("host").or_else(|| of("cluster")).or_else(|| of("instance"))
            }
            ["targets", _, "aws", ..] => None,
            _ => self.text(transport(keys)?.0, "host"),
        }
    }

    fn text(&self, table: &[&str], key: &str) -> Option<&str> {
        self.value(table, key)?.as_str()
    }

    fn value(&self, table: &[&str], key: &str) -> Option<&Value> {
        let wanted = |entry: &&Entry| {
            let keys = entry.keys();
            keys.split_last().is_some_and(|(last, above)| *last == key && above == table)
        };
        self.entries.iter().find(wanted).map(|entry| &entry.value)
    }
}

/// The keys of a transport's table, and those below.
fn transport<'a, 'k>(keys: &'a [&'k str]) -> Option<(&'a [&'k str], &'a [&'k str])> {
    match keys {
        ["transports", _, _, ..] => keys.split_at_checked(2),
        ["targets", _, "transport", _, ..] => keys.split_at_checked(3),
        _ => None,
    }
}

fn find(keys: &[&str]) -> Option<&'static Rule> {
    let fits = |pattern: &str| {
        let parts: Vec<&str> = pattern.split('.').collect();
        parts.len() == keys.len() && parts.iter().zip(keys).all(|(p, key)| *p == "*" || p == key)
    };
    RULES.iter().find(|(pattern, _)| fits(pattern)).map(|(_, rule)| rule)
}

/// Text of a file as it may be put before a person: what would move the cursor, turn the direction of
/// writing or begin a line of its own is spelt out.
pub fn shown(text: &str) -> String {
    let spell = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    text.chars().map(spell).collect()
}

#[cfg(test)]
mod tests;
