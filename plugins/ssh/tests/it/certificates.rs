//! Logging in with a user certificate.

use std::fs;

use pgferry_transport_sdk::Status;
use pgferry_transport_ssh::config::Config;

use crate::agent::Agent;
use crate::authority::{Authority, NOW, PAST};
use crate::databases::echo;
use crate::sshd::{Sshd, user};
use crate::world::World;

#[tokio::test]
async fn a_certificate_beside_a_key_of_any_type_logs_in() {
    let authority = Authority::new();
    let sshd = Sshd::with(&authority.trusted_for_users(), &["ed25519"]);
    let port = echo().await;
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = sshd.key(&format!("signed_{kind}"), kind, "");
        authority.sign_user(&key, &format!("other,{}", user()), NOW);
        let config = Config { key_file: Some(key), ..sshd.config() };
        World::default().transport(config).open("127.0.0.1", port).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_elsewhere_logs_in_when_it_is_named() {
    let authority = Authority::new();
    let sshd = Sshd::with(&authority.trusted_for_users(), &["ed25519"]);
    let key = sshd.key("signed", "ed25519", "");
    let elsewhere = sshd.directory.path().join("elsewhere");
    fs::rename(authority.sign_user(&key, &user(), NOW), &elsewhere).unwrap();
    let without = Config { key_file: Some(key), ..sshd.config() };
    let with = Config { certificate_file: Some(elsewhere), ..without.clone() };
    World::default().transport(with).open("127.0.0.1", echo().await).await.unwrap();
    let error = World::default().transport(without).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::AUTH, "{error}");
}

#[tokio::test]
async fn a_certificate_in_the_agent_logs_in() {
    let authority = Authority::new();
    let sshd = Sshd::with(&authority.trusted_for_users(), &["ed25519"]);
    for kind in ["ed25519", "rsa"] {
        let agent_directory = tempfile::tempdir().unwrap();
        let agent = Agent::start(agent_directory.path());
        let key = sshd.key(&format!("signed_{kind}"), kind, "");
        authority.sign_user(&key, &user(), NOW);
        agent.add(&sshd.key(&format!("stranger_{kind}"), "ed25519", ""));
        agent.add(&key);
        let config = Config { key_file: None, agent: Some(true), ..sshd.config() };
        let world = World { agent: Some(agent.socket.clone()), ..World::default() };
        world.transport(config).open("127.0.0.1", echo().await).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_file_goes_with_a_key_that_only_the_agent_holds() {
    let authority = Authority::new();
    let sshd = Sshd::with(&authority.trusted_for_users(), &["ed25519"]);
    let agent = Agent::start(sshd.directory.path());
    let key = sshd.key("signed", "rsa", "");
    agent.add(&key);
    let file = authority.sign_user(&key, &user(), NOW);
    let config =
        Config { key_file: None, agent: Some(true), certificate_file: Some(file), ..sshd.config() };
    let world = World { agent: Some(agent.socket.clone()), ..World::default() };
    world.transport(config).open("127.0.0.1", echo().await).await.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_that_is_named_stops_the_login_with_its_date() {
    let authority = Authority::new();
    let sshd = Sshd::with(&authority.trusted_for_users(), &["ed25519"]);
    let key = sshd.key("signed", "ed25519", "");
    let file = authority.sign_user(&key, &user(), PAST);
    let config =
        Config { key_file: Some(key), certificate_file: Some(file.clone()), ..sshd.config() };
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::AUTH);
    let expected =
        format!("certificate {} expired on Fri, 01 Jan 2021 00:00:00 GMT", file.display());
    assert_eq!(error.message(), expected);
    assert!(error.hint().unwrap().contains("signed anew"));
    assert_eq!(sshd.connections(), 0, "the bastion has nothing to count");
}

#[tokio::test]
async fn an_expired_certificate_beside_a_key_that_is_known_by_itself_does_no_harm() {
    let sshd = Sshd::start();
    let key = sshd.directory.path().join("id");
    Authority::new().sign_user(&key, &user(), PAST);
    World::default().transport(sshd.config()).open("127.0.0.1", echo().await).await.unwrap();

    let stranger = sshd.key("stranger", "ed25519", "");
    Authority::new().sign_user(&stranger, &user(), PAST);
    let config = Config { key_file: Some(stranger), ..sshd.config() };
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert!(error.message().contains("-cert.pub expired on Fri, 01 Jan 2021"), "{error}");
}

#[tokio::test]
async fn a_certificate_without_the_users_name_is_refused_with_the_names_it_has() {
    let authority = Authority::new();
    let sshd = Sshd::with(&authority.trusted_for_users(), &["ed25519"]);
    let key = sshd.key("signed", "ed25519", "");
    authority.sign_user(&key, "deploy,dba", NOW);
    let config = Config { key_file: Some(key), ..sshd.config() };
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::AUTH);
    assert!(error.message().contains("-cert.pub (\"test\", signed by SHA256:"), "{error}");
    assert!(error.hint().unwrap().starts_with("the certificate is for deploy, dba"), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_certificate_for_this_key_says_what_it_is() {
    let sshd = Sshd::start();
    let refused = async |file: std::path::PathBuf| {
        let config = Config { certificate_file: Some(file), ..sshd.config() };
        World::default().transport(config).refusal("127.0.0.1", 1).await.message().to_owned()
    };
    let missing = refused(sshd.directory.path().join("nowhere")).await;
    assert!(missing.starts_with("there is no certificate file"), "{missing}");

    let key = sshd.key("other", "ed25519", "");
    let plain = refused(key.with_extension("pub")).await;
    assert!(plain.ends_with("holds no certificate"), "{plain}");

    let other = refused(Authority::new().sign_user(&key, &user(), NOW)).await;
    assert!(other.ends_with("is for another key"), "{other}");

    let host = refused(Authority::new().sign_host(&key, &["-n", "bastion"])).await;
    assert!(host.ends_with("is a host's, not a user's"), "{host}");
    assert_eq!(sshd.connections(), 0);
}
