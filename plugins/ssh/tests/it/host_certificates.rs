//! Bastions that an authority vouches for.

use std::fs;

use pgferry_transport_sdk::{Error, Status};
use pgferry_transport_ssh::config::{Config, HostKeyPolicy};

use crate::authority::{Authority, NOW, PAST};
use crate::databases::echo;
use crate::sshd::{Sshd, ssh_keygen};
use crate::world::World;

/// A bastion whose host key of that type an authority has signed.
fn certified(authority: &Authority, kind: &str, more: &[&str]) -> Sshd {
    let sshd = Sshd::with("", &[kind]);
    let key = sshd.directory.path().join(format!("host_{kind}"));
    let file = authority.sign_host(&key, more);
    sshd.configure(&format!("HostCertificate {}", file.display()));
    sshd
}

fn knowing(sshd: &Sshd, known: &str) -> Config {
    fs::write(sshd.known_hosts(), known).unwrap();
    sshd.config_without_known_hosts()
}

fn trusting(sshd: &Sshd, authority: &Authority) -> Config {
    let line = format!("@cert-authority [127.0.0.*]:* {} CA\n", authority.public_key());
    knowing(sshd, &line)
}

async fn refused(config: Config) -> Error {
    let error = World::default().transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::DENIED, "{error}");
    error
}

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_accepted_for_keys_of_every_type() {
    let port = echo().await;
    for (kind, authority) in [("ed25519", "ecdsa"), ("ecdsa", "rsa"), ("rsa", "ed25519")] {
        let authority = Authority::of(authority);
        let sshd = certified(&authority, kind, &["-n", "127.0.0.1,bastion", "-V", NOW]);
        let transport = World::default().transport(trusting(&sshd, &authority));
        transport.open("127.0.0.1", port).await.unwrap();
    }
}

#[tokio::test]
async fn hashed_names_bare_names_and_patterns_lead_to_an_authority() {
    let authority = Authority::new();
    let sshd = certified(&authority, "ed25519", &["-n", "127.0.0.?"]);
    let (port, public) = (echo().await, authority.public_key());
    for names in ["*", "127.0.0.1", "[127.0.0.1]:*"] {
        let config = knowing(&sshd, &format!("@cert-authority {names} {public}\n"));
        World::default().transport(config).open("127.0.0.1", port).await.unwrap();
    }
    let name = format!("[127.0.0.1]:{}", sshd.port());
    let config = knowing(&sshd, &format!("@cert-authority {name} {public}\n"));
    let file = sshd.known_hosts();
    ssh_keygen(&["-q", "-H", "-f", file.to_str().unwrap()]);
    World::default().transport(config).open("127.0.0.1", port).await.unwrap();
    let config = knowing(&sshd, &format!("@cert-authority *,!127.0.0.1,![127.0.0.1]:* {public}\n"));
    let error = refused(config).await;
    assert!(error.message().contains("is not known"), "{error}");
}

#[tokio::test]
async fn another_authority_is_not_accepted_even_as_new() {
    let sshd = certified(&Authority::new(), "ed25519", &["-n", "127.0.0.1"]);
    let mut config = trusting(&sshd, &Authority::new());
    config.host_key_policy = Some(HostKeyPolicy::AcceptNew);
    let before = fs::read_to_string(sshd.known_hosts()).unwrap();
    let error = refused(config).await;
    let place = format!("is not an authority that {}:1 names", sshd.known_hosts().display());
    assert!(error.message().ends_with(&place), "{error}");
    assert!(error.hint().unwrap().contains("@cert-authority"));
    assert_eq!(fs::read_to_string(sshd.known_hosts()).unwrap(), before);
}

#[tokio::test]
async fn a_certificate_for_other_hosts_or_none_or_of_another_time_is_refused() {
    let authority = Authority::new();
    let cases: [(&[&str], &str); 4] = [
        (&["-n", "bastion,other"], "is for bastion, other"),
        (&[], "names no host"),
        (&["-n", "127.0.0.1", "-V", PAST], "expired on Fri, 01 Jan 2021 00:00:00 GMT"),
        (
            &["-n", "127.0.0.1", "-V", "20900101000000Z:20910101000000Z"],
            "is not valid before Sun, 01 Jan 2090 00:00:00 GMT",
        ),
    ];
    for (more, words) in cases {
        let sshd = certified(&authority, "ed25519", more);
        let error = refused(trusting(&sshd, &authority)).await;
        let expected = format!("host certificate of [127.0.0.1]:{} {words}", sshd.port());
        assert_eq!(error.message(), expected);
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn a_key_known_by_itself_needs_no_good_certificate() {
    let authority = Authority::new();
    let sshd = certified(&authority, "ed25519", &["-n", "elsewhere"]);
    let name = format!("[127.0.0.1]:{}", sshd.port());
    let (ca, key) = (authority.public_key(), sshd.host_key("ed25519"));
    let config = knowing(&sshd, &format!("@cert-authority {name} {ca}\n{name} {key}\n"));
    World::default().transport(config).open("127.0.0.1", echo().await).await.unwrap();
}

#[tokio::test]
async fn a_revoked_authority_or_key_is_refused_although_its_certificate_is_good() {
    let authority = Authority::new();
    let sshd = certified(&authority, "ed25519", &["-n", "127.0.0.1"]);
    let ca = authority.public_key();
    for revoked in [ca.clone(), sshd.host_key("ed25519")] {
        let config = knowing(&sshd, &format!("@cert-authority * {ca}\n@revoked * {revoked}\n"));
        let error = refused(config).await;
        let place = format!("is revoked ({}:2)", sshd.known_hosts().display());
        assert!(error.message().ends_with(&place), "{error}");
    }
}

#[tokio::test]
async fn a_bastion_without_a_certificate_is_told_what_it_lacks() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let error = refused(trusting(&sshd, &authority)).await;
    assert!(error.message().contains("but the bastion has no certificate"), "{error}");
    assert!(error.hint().unwrap().contains("HostCertificate"));
}

#[tokio::test]
async fn a_bastion_that_shows_only_certificates_needs_a_known_authority() {
    let authority = Authority::new();
    let sshd = certified(&authority, "ed25519", &["-n", "127.0.0.1"]);
    sshd.configure("HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com");
    let error = refused(knowing(&sshd, "")).await;
    assert!(error.message().ends_with("shows host certificates only"), "{error}");
    assert!(error.hint().unwrap().contains("@cert-authority"));
    let transport = World::default().transport(trusting(&sshd, &authority));
    transport.open("127.0.0.1", echo().await).await.unwrap();
}
