//! EC2 Instance Connect: public keys that instances take for 60 s.
//!
//! Source: Amazon EC2 Instance Connect API Reference, `SendSSHPublicKey`.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::{
    ACCOUNT, Aws,
    principal::Principal,
    reply::{Failure, Success},
};
use crate::{sshd::Sshd, ssm::ManagedInstance};

/// The keys that were pushed, and the SSH servers that take them.
#[derive(Default)]
pub(crate) struct Pushes {
    servers: Vec<Server>,
    pushed: Vec<Pushed>,
}

/// An SSH server on an instance, which looks for a user's keys in a file of its own.
struct Server {
    instance: String,
    directory: PathBuf,
}

struct Pushed {
    instance: String,
    user: String,
    key: String,
    /// Unix seconds.
    ends: u64,
}

impl Aws {
    /// Says that `sshd`, made with [`crate::sshd::Builder::keys_by_instance_connect`], runs on `instance`.
    pub fn serve_instance_connect(&self, instance: &str, sshd: &Sshd) {
        let server = Server { instance: instance.to_owned(), directory: sshd.pushed_keys() };
        self.world().state().pushes.servers.push(server);
    }

    /// The keys that `instance` takes for `user` now, as they were pushed. What has expired by the simulated clock is
    /// refused once this has been asked, or after a moment.
    pub fn pushed_keys(&self, instance: &str, user: &str) -> Vec<String> {
        let now = self.clock().now();
        let world = self.world();
        let mut state = world.state();
        state.pushes.expire(now);
        let keys = state.pushes.keys(instance, user);
        keys.map(str::to_owned).collect()
    }
}

impl Pushes {
    /// Takes what has expired out of the servers' files.
    pub(crate) fn expire(&mut self, now: u64) {
        let (ended, lasting) = std::mem::take(&mut self.pushed)
            .into_iter()
            .partition(|pushed: &Pushed| pushed.ends <= now);
        self.pushed = lasting;
        for pushed in ended {
            self.write(&pushed.instance, &pushed.user);
        }
    }

    fn keys(&self, instance: &str, user: &str) -> impl Iterator<Item = &str> {
        let own = move |pushed: &&Pushed| pushed.instance == instance && pushed.user == user;
        self.pushed.iter().filter(own).map(|pushed| pushed.key.as_str())
    }

    /// Writes a user's keys to where the instance's servers look for them.
    fn write(&self, instance: &str, user: &str) {
        let lines: String = self.keys(instance, user).map(|key| [key, "\n"].concat()).collect();
        for server in self.servers.iter().filter(|server| server.instance == instance) {
            // Moved into place, so that no server reads half of it. A server that is gone has no directory.
            let new = server.directory.join(".new");
            let file = server.directory.join(user);
            fs::write(&new, &lines).and_then(|()| fs::rename(&new, &file)).ok();
        }
    }
}

pub(super) fn send_ssh_public_key(
    caller: &Principal,
    request: &Value,
    pushes: &mut Pushes,
    (nodes, region, now): (&[ManagedInstance], &str, u64),
) -> Result<Success, Failure> {
    let instance = text(request, "InstanceId", 10..=32)?;
    let user = text(request, "InstanceOSUser", 1..=32)?;
    let key = text(request, "SSHPublicKey", 80..=4096)?;
    let hex = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    if !instance.strip_prefix("i-").is_some_and(hex) {
        return Err(invalid("InstanceId"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "@._-$".contains(c);
    let start = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !user.starts_with(start) || !user.chars().all(plain) {
        return Err(invalid("InstanceOSUser"));
    }
    if !is_public_key(key) {
        return Err(invalid("SSHPublicKey"));
    }
    let arn = format!("arn:aws:ec2:{region}:{ACCOUNT}:instance/{instance}");
    caller.check("ec2-instance-connect:SendSSHPublicKey", &arn)?;
    let node = nodes.iter().find(|node| node.id == instance).ok_or_else(|| {
        let message = "The specified instance was not found";
        Failure::new(404, "EC2InstanceNotFoundException", message)
    })?;
    if !node.is_online() {
        let message = "Unable to connect because the instance is not in a valid state. Connecting to a \
                       stopped or terminated instance is not supported.";
        return Err(Failure::new(400, "EC2InstanceStateInvalidException", message));
    }
    pushes.expire(now);
    pushes.pushed.push(Pushed {
        instance: instance.to_owned(),
        user: user.to_owned(),
        key: key.trim().to_owned(),
        ends: now + LIFE,
    });
    pushes.write(instance, user);
    Ok(Success::Json(json!({"RequestId": "00000000-0000-4000-8000-000000000000", "Success": true})))
}

fn text<'a>(
    request: &'a Value,
    name: &str,
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<&'a str, Failure> {
    let value = request.get(name).and_then(Value::as_str);
    value.filter(|value| lengths.contains(&value.len())).ok_or_else(|| invalid(name))
}

/// One line of the two kinds that the service takes.
fn is_public_key(key: &str) -> bool {
    let mut words = key.trim_end().split(' ');
    let kind = matches!(words.next(), Some("ssh-ed25519" | "ssh-rsa"));
    let body = words.next().is_some_and(|body| body.starts_with("AAAA"));
    kind && body && !key.trim_end().contains('\n')
}

fn invalid(name: &str) -> Failure {
    Failure::new(400, "InvalidArgsException", &format!("{name} is not valid"))
}

/// Seconds.
const LIFE: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_its_users_file_until_it_expires() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let server = Server { instance: "i-1".to_owned(), directory: path.clone() };
        let mut pushes = Pushes { servers: vec![server], pushed: Vec::new() };
        let one = |instance: &str, user: &str, ends| Pushed {
            instance: instance.to_owned(),
            user: user.to_owned(),
            key: format!("ssh-ed25519 AAAA {ends}"),
            ends,
        };
        for push in [one("i-1", "jo", 60), one("i-1", "jo", 90), one("i-2", "al", 60)] {
            let (instance, user) = (push.instance.clone(), push.user.clone());
            pushes.pushed.push(push);
            pushes.write(&instance, &user);
        }
        let read = || fs::read_to_string(path.join("jo")).unwrap();
        assert_eq!(read(), "ssh-ed25519 AAAA 60\nssh-ed25519 AAAA 90\n");
        assert!(!path.join("al").exists());
        pushes.expire(60);
        assert_eq!(read(), "ssh-ed25519 AAAA 90\n");
        pushes.expire(90);
        assert_eq!(read(), "");
    }

    #[test]
    fn only_whole_lines_of_the_two_kinds_are_keys() {
        assert!(is_public_key("ssh-ed25519 AAAAC3Nza pgferry\n"));
        for wrong in ["", "ssh-ed25519", "ecdsa-sha2-nistp256 AAAA", "ssh-rsa AAAA\nssh-rsa AAAA"] {
            assert!(!is_public_key(wrong), "{wrong:?}");
        }
    }
}
