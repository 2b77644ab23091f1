//! Whether the bastion is the one it claims to be.

use std::fs;

use pgferry_transport_sdk::Status;
use pgferry_transport_ssh::config::HostKeyPolicy;

use crate::databases::echo;
use crate::sshd::{Sshd, public_key, ssh_keygen};
use crate::world::World;

#[tokio::test]
async fn an_unknown_bastion_is_refused_with_the_line_to_add() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config_without_known_hosts());
    let error = transport.refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::DENIED);
    assert!(error.message().contains("is not known: ssh-ed25519 SHA256:"), "{error}");
    let line = format!("[127.0.0.1]:{} {}", sshd.port(), sshd.host_key("ed25519"));
    assert!(error.hint().unwrap().ends_with(&line), "{:?}", error.hint());
    fs::write(sshd.known_hosts(), line).unwrap();
    transport.open("127.0.0.1", echo().await).await.unwrap();
}

#[tokio::test]
async fn a_changed_host_key_names_the_line_and_both_fingerprints() {
    let sshd = Sshd::start();
    let other = public_key(&sshd.key("other", "ed25519", "").with_extension("pub"));
    let mut config = sshd.config_without_known_hosts();
    config.host_key_policy = Some(HostKeyPolicy::AcceptNew);
    fs::write(sshd.known_hosts(), format!("# old\n[127.0.0.1]:{} {other}\n", sshd.port())).unwrap();
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::DENIED);
    let place = format!("{}:2 has SHA256:", sshd.known_hosts().display());
    assert!(error.message().contains(&place), "{error}");
    assert!(error.message().contains("it shows SHA256:"), "{error}");
    let remedy = format!("ssh-keygen -R '[127.0.0.1]:{}'", sshd.port());
    assert!(error.hint().unwrap().contains(&remedy));
}

#[tokio::test]
async fn a_hashed_line_of_ssh_keygen_is_understood() {
    let sshd = Sshd::start();
    let config = sshd.config();
    ssh_keygen(&["-q", "-H", "-f", sshd.known_hosts().to_str().unwrap()]);
    assert!(fs::read_to_string(sshd.known_hosts()).unwrap().starts_with("|1|"));
    World::default().transport(config).open("127.0.0.1", echo().await).await.unwrap();
}

#[tokio::test]
async fn a_revoked_host_key_is_refused_although_it_is_known() {
    let sshd = Sshd::start();
    let config = sshd.config();
    let known = fs::read_to_string(sshd.known_hosts()).unwrap();
    let revoked = format!("{known}@revoked * {}\n", sshd.host_key("ed25519"));
    fs::write(sshd.known_hosts(), revoked).unwrap();
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::DENIED);
    assert!(error.message().contains("is revoked"), "{error}");
}

#[tokio::test]
async fn accept_new_records_the_key_which_strict_then_knows() {
    let sshd = Sshd::start();
    let mut config = sshd.config_without_known_hosts();
    config.host_key_policy = Some(HostKeyPolicy::AcceptNew);
    let port = echo().await;
    World::default().transport(config.clone()).open("127.0.0.1", port).await.unwrap();
    let recorded = fs::read_to_string(sshd.known_hosts()).unwrap();
    let expected = format!("[127.0.0.1]:{} {}\n", sshd.port(), sshd.host_key("ed25519"));
    assert_eq!(recorded, expected);
    config.host_key_policy = Some(HostKeyPolicy::Strict);
    World::default().transport(config).open("127.0.0.1", port).await.unwrap();
}

#[tokio::test]
async fn of_several_host_keys_the_bastion_is_asked_for_the_known_one() {
    let sshd = Sshd::with("", &["ed25519", "ecdsa", "rsa"]);
    let port = echo().await;
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let config = sshd.config_without_known_hosts();
        let line = format!("[127.0.0.1]:{} {}\n", sshd.port(), sshd.host_key(kind));
        fs::write(sshd.known_hosts(), line).unwrap();
        World::default().transport(config).open("127.0.0.1", port).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_of_another_type_than_the_known_one_is_not_accepted_as_new() {
    let sshd = Sshd::start();
    let other = public_key(&sshd.key("other", "ecdsa", "").with_extension("pub"));
    let mut config = sshd.config_without_known_hosts();
    config.host_key_policy = Some(HostKeyPolicy::AcceptNew);
    fs::write(sshd.known_hosts(), format!("[127.0.0.1]:{} {other}\n", sshd.port())).unwrap();
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::DENIED);
    assert!(error.message().contains("has one of another type"), "{error}");
}
