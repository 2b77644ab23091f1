//! Logging in to the bastion.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use pgferry_transport_sdk::{Error, Status};
use pgferry_transport_ssh::config::Config;

use crate::agent::Agent;
use crate::databases::echo;
use crate::sshd::Sshd;
use crate::world::World;

#[tokio::test]
async fn keys_of_every_type_log_in() {
    let sshd = Sshd::start();
    let port = echo().await;
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = sshd.key(&format!("user_{kind}"), kind, "");
        sshd.authorize(&key);
        let config = Config { key_file: Some(key), ..sshd.config() };
        World::default().transport(config).open("127.0.0.1", port).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_in_pem_format_logs_in() {
    let sshd = Sshd::start();
    let key = sshd.directory.path().join("pem");
    let path = key.to_str().unwrap();
    crate::sshd::ssh_keygen(&["-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", path]);
    sshd.authorize(&key);
    let config = Config { key_file: Some(key), ..sshd.config() };
    World::default().transport(config).open("127.0.0.1", echo().await).await.unwrap();
}

#[tokio::test]
async fn an_encrypted_key_opens_with_its_passphrase_alone() {
    let sshd = Sshd::start();
    let key = sshd.key("encrypted", "ed25519", "open sesame");
    sshd.authorize(&key);
    let config = Config { key_file: Some(key), ..sshd.config() };
    let with = |passphrase| World { passphrase, ..World::default() }.transport(config.clone());

    with(Some("open sesame")).open("127.0.0.1", echo().await).await.unwrap();

    let wrong = with(Some("open barley")).refusal("127.0.0.1", 1).await;
    assert_eq!(wrong.status(), Status::AUTH);
    assert!(wrong.message().starts_with("the passphrase does not open key file"), "{wrong}");
    assert!(!wrong.message().contains("barley"));

    let missing = with(None).refusal("127.0.0.1", 1).await;
    assert_eq!(missing.status(), Status::AUTH);
    assert!(missing.message().contains("is encrypted"), "{missing}");
    assert!(missing.hint().unwrap().contains("secrets.key_passphrase"));
    assert_eq!(sshd.connections(), 1, "a bad key file must not count as a failed login");
}

#[tokio::test]
async fn an_agent_logs_in_with_the_one_of_its_keys_that_is_authorized() {
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.directory.path());
    agent.add(&sshd.key("stranger", "ed25519", ""));
    agent.add(&sshd.key("stranger_rsa", "rsa", ""));
    let rsa = sshd.key("friend_rsa", "rsa", "");
    sshd.authorize(&rsa);
    agent.add(&rsa);
    let config = Config { key_file: None, agent: Some(true), ..sshd.config() };
    let world = World { agent: Some(agent.socket.clone()), ..World::default() };
    world.transport(config).open("127.0.0.1", echo().await).await.unwrap();
}

#[tokio::test]
async fn an_agent_without_keys_or_without_a_socket_is_named() {
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.directory.path());
    let config = Config { key_file: None, agent: Some(true), ..sshd.config() };
    let world = World { agent: Some(agent.socket.clone()), ..World::default() };
    let empty = world.transport(config.clone()).refusal("127.0.0.1", 1).await;
    assert_eq!(empty.status(), Status::AUTH);
    assert!(empty.message().contains("the ssh-agent holds no keys"), "{empty}");
    let absent = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(absent.status(), Status::AUTH);
    assert!(absent.message().contains("SSH_AUTH_SOCK is not set"), "{absent}");
}

#[tokio::test]
async fn a_key_the_bastion_does_not_know_is_refused_with_what_it_accepts() {
    let sshd = Sshd::start();
    let key = sshd.key("stranger", "ed25519", "");
    let config = Config { key_file: Some(key.clone()), ..sshd.config() };
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::AUTH);
    let tried = format!("tried {} (SHA256:", key.display());
    assert!(error.message().contains(&tried), "{error}");
    assert!(error.message().ends_with("it accepts publickey"), "{error}");
    assert!(error.hint().unwrap().contains("authorized_keys"));
}

#[tokio::test]
async fn a_user_the_bastion_does_not_know_is_refused_by_name() {
    let sshd = Sshd::start();
    let config = Config { user: Some("nobody-of-that-name".to_owned()), ..sshd.config() };
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::AUTH);
    assert!(error.message().contains("refused user \"nobody-of-that-name\""), "{error}");
}

#[tokio::test]
async fn a_key_file_that_cannot_be_used_says_why() {
    let sshd = Sshd::start();
    let refused = async |path: PathBuf| -> Error {
        let config = Config { key_file: Some(path), ..sshd.config() };
        World::default().transport(config).refusal("127.0.0.1", 1).await
    };
    let missing = refused(sshd.directory.path().join("nowhere")).await;
    assert!(missing.message().starts_with("there is no key file"), "{missing}");

    let open = sshd.key("open", "ed25519", "");
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let error = refused(open.clone()).await;
    assert!(error.message().ends_with("can be read by others (mode 0644)"), "{error}");
    assert_eq!(error.hint().unwrap(), format!("run: chmod 600 {}", open.display()));

    let public = sshd.directory.path().join("copy");
    fs::copy(open.with_extension("pub"), &public).unwrap();
    fs::set_permissions(&public, Permissions::from_mode(0o600)).unwrap();
    let error = refused(public.clone()).await;
    assert!(error.message().ends_with("holds a public key"), "{error}");

    fs::write(&public, "nothing like a key").unwrap();
    let error = refused(public).await;
    assert!(error.message().contains("holds no usable private key"), "{error}");
    assert_eq!(error.status(), Status::AUTH);
    assert_eq!(sshd.connections(), 0);
}
