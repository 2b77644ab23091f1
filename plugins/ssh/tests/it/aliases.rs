//! A bastion that is only named, and described in the user's `ssh_config`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use pgferry_transport_sdk::Status;
use pgferry_transport_ssh::config::{Config, HostKeyPolicy};
use pgferry_transport_ssh::hop::NamedBy;
use pgferry_transport_ssh::route::Route;
use pgferry_transport_ssh::surroundings::Surroundings;
use tempfile::TempDir;

use crate::agent::Agent;
use crate::databases::echo;
use crate::sshd::{Sshd, user};
use crate::world::World;

#[tokio::test]
async fn an_alias_says_all_that_the_configuration_does_not() {
    let sshd = Sshd::start();
    let key = sshd.directory.path().join("id");
    sshd.config();
    let home = home(&format!(
        "Host prod-*\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n \
         UserKnownHostsFile {}\n",
        sshd.port(),
        user(),
        key.display(),
        sshd.known_hosts().display(),
    ));
    let transport = world(&home).transport(named("prod-gate"));
    transport.open("127.0.0.1", echo().await).await.unwrap();
    let (_, text) = transport.next_state().await;
    assert_eq!(text, format!("connected to bastion prod-gate (127.0.0.1:{})", sshd.port()));
}

#[tokio::test]
async fn a_host_key_is_looked_up_under_its_alias() {
    let sshd = Sshd::start();
    let config =
        Config { host: "gate".to_owned(), port: None, ..sshd.config_without_known_hosts() };
    let home = home(&format!("HostName 127.0.0.1\nPort {}\nHostKeyAlias Gate-Key\n", sshd.port()));
    fs::write(sshd.known_hosts(), format!("gate-key {}\n", sshd.host_key("ed25519"))).unwrap();
    world(&home).transport(config).open("127.0.0.1", echo().await).await.unwrap();
}

#[tokio::test]
async fn keys_are_taken_from_identity_files_the_agent_and_the_usual_places() {
    let sshd = Sshd::start();
    let port = echo().await;
    let config = |text: &str| {
        let home = home(text);
        (Config { key_file: None, ..sshd.config() }, home)
    };
    let encrypted = sshd.key("encrypted", "ed25519", "open sesame");
    let agent = Agent::start(sshd.directory.path());
    let (files, home) = config(&format!(
        "IdentitiesOnly yes\nIdentityFile /nowhere\nIdentityFile {}\n",
        sshd.directory.path().join("id").display()
    ));
    world(&home).transport(files).open("127.0.0.1", port).await.unwrap();

    // The usual place, after an agent without a key.
    let (usual, home) = config("");
    fs::copy(sshd.directory.path().join("id"), home.path().join(".ssh/id_ed25519")).unwrap();
    let with_agent = |home: &TempDir| World { agent: Some(agent.socket.clone()), ..world(home) };
    with_agent(&home).transport(usual).open("127.0.0.1", port).await.unwrap();

    // Encrypted, and known to the agent: nobody asks for the passphrase.
    let held = sshd.key("held", "ed25519", "");
    sshd.authorize(&held);
    agent.add(&held);
    let (only, home) = config(&format!(
        "IdentitiesOnly yes\nIdentityFile {}\nIdentityFile {}.pub\n",
        encrypted.display(),
        held.display()
    ));
    fs::remove_file(&held).unwrap();
    let error = world(&home).transport(only.clone()).refusal("127.0.0.1", port).await;
    assert_eq!(error.status(), Status::AUTH);
    assert!(error.message().contains("is encrypted"), "{error}");
    let (only, home) = config(&format!("IdentitiesOnly yes\nIdentityFile {}\n", held.display()));
    with_agent(&home).transport(only).open("127.0.0.1", port).await.unwrap();
}

#[test]
fn ssh_config_wins_over_the_defaults() {
    let home = home(GATE);
    let theirs = route(&named("gate"), home.path()).unwrap().bastion;
    assert_eq!((theirs.user.as_str(), theirs.port), ("theirs", 2222));
    let key = &theirs.identities.files[0];
    assert_eq!(key.path, home.path().join(".ssh/gate"));
    assert_eq!(key.named_by, NamedBy::SshConfig);
    assert_eq!(theirs.identities.certificate_files, [home.path().join(".ssh/c-cert.pub")]);
    assert_eq!(theirs.keepalive_interval.as_secs(), 40);
    assert_eq!(theirs.keepalive_max, 3);
    assert_eq!(theirs.connect_timeout.map(|limit| limit.as_secs()), Some(3));
    assert_eq!(theirs.host_keys.files, [Path::new("/known")]);
}

#[test]
fn the_configuration_wins_over_ssh_config() {
    let home = home(GATE);
    let own = Config {
        user: Some("own".to_owned()),
        port: std::num::NonZeroU16::new(22),
        key_file: Some("/key".into()),
        known_hosts_file: Some("/hosts".into()),
        host_key_policy: Some(HostKeyPolicy::Strict),
        ..named("gate")
    };
    let ours = route(&own, home.path()).unwrap().bastion;
    assert_eq!((ours.user.as_str(), ours.port), ("own", 22));
    assert_eq!(ours.identities.files[0].named_by, NamedBy::Configuration);
    assert_eq!(ours.identities.files.len(), 1);
    assert_eq!(ours.host_keys.files, [Path::new("/hosts")]);
    assert_eq!(ours.host_keys.policy, HostKeyPolicy::Strict);

    let off = Config { ssh_config: Some(false), agent: Some(true), ..named("gate") };
    let off = route(&off, home.path()).unwrap().bastion;
    assert_eq!((off.user, off.port), (Surroundings::here().user, 22));
    assert_eq!(off.keepalive_interval.as_secs(), 15);
}

#[test]
fn the_systems_file_comes_after_the_users() {
    let home = home("Host gate\n Port 1\n IdentityFile /one\n");
    let system = tempfile::tempdir().unwrap();
    let text = "Port 2\nUser system\nIdentityFile /two\nInclude more.d/*.conf\n";
    fs::write(system.path().join("ssh_config"), text).unwrap();
    fs::create_dir(system.path().join("more.d")).unwrap();
    fs::write(system.path().join("more.d/a.conf"), "HostName far\n").unwrap();
    let here = Surroundings { system: system.path().to_owned(), ..here(home.path()) };
    let gate = Route::resolve(&named("gate"), &here).unwrap().bastion;
    assert_eq!((gate.port, gate.user.as_str(), gate.host.as_str()), (1, "system", "far"));
    assert_eq!(gate.identities.files.len(), 2);
    // Another file replaces both.
    let own = home.path().join("own");
    fs::write(&own, "Host gate\n Port 3\n IdentityFile /x\n").unwrap();
    let config = Config { ssh_config_file: Some(own), ..named("gate") };
    let gate = Route::resolve(&config, &here).unwrap().bastion;
    assert_eq!((gate.port, gate.host.as_str()), (3, "gate"));
}

#[test]
fn what_would_change_route_or_security_is_refused_with_its_place_and_a_way_out() {
    for (line, keyword, remedy) in [
        ("ProxyCommand nc %h %p", "proxycommand", "kind \"exec\""),
        ("ProxyUseFdpass yes", "proxyusefdpass", "kind \"exec\""),
        ("BindAddress 10.0.0.1", "bindaddress", "ssh_config_file"),
        ("BindInterface eth0", "bindinterface", "ssh_config_file"),
        ("CanonicalizeHostname yes", "canonicalizehostname", "whole name"),
        ("KnownHostsCommand /bin/true", "knownhostscommand", "known_hosts_file"),
        ("RevokedHostKeys /revoked", "revokedhostkeys", "@revoked"),
        ("PKCS11Provider /p11.so", "pkcs11provider", "agent = true"),
        ("SecurityKeyProvider /sk.so", "securitykeyprovider", "agent = true"),
        ("PubkeyAuthentication no", "pubkeyauthentication", "key_file"),
        ("Match exec \"true\"\n User x", "exec", "ssh_config = false"),
        ("Match localnetwork 10.0.0.0/8", "localnetwork", "ssh_config = false"),
        ("Unheard Of", "unheard", "IgnoreUnknown"),
    ] {
        let home = home(&format!("Host gate\n {line}\n"));
        let error = route(&named("gate"), home.path()).unwrap_err();
        assert_eq!(error.status(), Status::CONFIG, "{line}");
        let place = format!("{}:2: ", home.path().join(".ssh/config").display());
        assert!(error.message().starts_with(&place), "{error}");
        assert!(error.message().contains(keyword), "{error}");
        assert!(error.hint().unwrap().contains(remedy), "{line}: {:?}", error.hint());
        // It is for that host alone; a Match of its own is for all.
        if !line.starts_with("Match") {
            let other = Config { agent: Some(true), ..named("other") };
            route(&other, home.path()).unwrap();
        }
    }
}

#[test]
fn what_the_configuration_decides_is_not_refused() {
    let home = home(
        "ProxyCommand nc %h %p\nPKCS11Provider /p11.so\nPubkeyAuthentication no\n\
         KnownHostsCommand /bin/true\nBindInterface none\nStrictHostKeyChecking no\n",
    );
    let config = Config {
        jump: Some(vec![]),
        key_file: Some("/key".into()),
        known_hosts_file: Some("/hosts".into()),
        ..named("gate")
    };
    let route = route(&config, home.path()).unwrap();
    assert!(route.jumps.is_empty());
    assert_eq!(route.bastion.host_keys.policy, HostKeyPolicy::Strict, "keys are always checked");
}

#[test]
fn files_that_others_can_change_or_that_are_missing_are_refused() {
    let home = home("User jo\n");
    let file = home.path().join(".ssh/config");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let error = route(&named("gate"), home.path()).unwrap_err();
    assert_eq!(error.hint(), Some(format!("run: chmod go-w {}", file.display()).as_str()));
    let config = Config { ssh_config_file: Some("/nonexistent".into()), ..named("gate") };
    let error = route(&config, home.path()).unwrap_err();
    assert!(error.message().starts_with("cannot read /nonexistent: "), "{error}");
}

#[test]
fn files_that_would_accept_any_host_key_are_refused() {
    let home = home("UserKnownHostsFile /dev/null\nStrictHostKeyChecking accept-new\n");
    let config = Config { agent: Some(true), ..named("gate") };
    let error = route(&config, home.path()).unwrap_err();
    assert!(error.message().contains("would be accepted as new"), "{error}");
}

#[test]
fn without_any_key_the_transport_is_not_made() {
    let home = home("");
    let error = route(&named("gate"), home.path()).unwrap_err();
    assert_eq!(error.status(), Status::CONFIG);
    assert_eq!(error.message(), "there is no key to log in to bastion gate:22 with");
}

pub(crate) fn named(host: &str) -> Config {
    Config { host: host.to_owned(), ..Config::default() }
}

const GATE: &str = "Host gate\n User theirs\n Port 2222\n IdentityFile ~/.ssh/%n\n ServerAliveInterval 40\n \
         ServerAliveCountMax 0\n ConnectTimeout 3\n CertificateFile ~/.ssh/c-cert.pub\n \
         UserKnownHostsFile /known\n GlobalKnownHostsFile none\n StrictHostKeyChecking accept-new\n";

/// A home directory with this `ssh_config`.
pub(crate) fn home(text: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".ssh")).unwrap();
    let file = home.path().join(".ssh/config");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    home
}

pub(crate) fn world(home: &TempDir) -> World {
    World { home: Some(home.path().to_owned()), ..World::default() }
}

pub(crate) fn here(home: &Path) -> Surroundings {
    Surroundings {
        home: Some(home.to_owned()),
        system: home.to_owned(),
        variables: std::collections::HashMap::new(),
        ..Surroundings::here()
    }
}

pub(crate) fn route(config: &Config, home: &Path) -> Result<Route, pgferry_transport_sdk::Error> {
    Route::resolve(config, &here(home))
}
