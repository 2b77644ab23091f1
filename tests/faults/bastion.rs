//! The bastion: its key, its rules, its silence and its death.

use std::time::Duration;

use pgferry_simulators::{Key, Role, Sshd, free_port};

use crate::support::client::{Fault, Wire};
use crate::support::target::Target;
use crate::support::world::Way;
use crate::{WORLD, assert_serves, at_once, start, within};

/// A target in front of the shared database, behind a bastion of its own.
fn behind(sshd: &Sshd) -> Target {
    let mut target = Target::new("db", &WORLD, Way::Direct, Role::Scram);
    target.transport = ssh(sshd, &sshd.key_file(Key::Ed25519), &sshd.known_hosts_file());
    target
}

fn ssh(sshd: &Sshd, key: &std::path::Path, known_hosts: &std::path::Path) -> String {
    format!(
        "{{ kind = \"ssh\", host = \"127.0.0.1\", port = {}, user = \"{}\", key_file = {key:?}, \
         known_hosts_file = {known_hosts:?}, ssh_config = false }}",
        sshd.port(),
        sshd.user()
    )
}

/// Two clients in a row are told the same, at once.
fn refused(target: &Target) -> Fault {
    let pgferry = start("", &[target]);
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    assert_eq!(at_once(|| Wire::refused(pgferry.port("db"))), fault);
    let tunnel = pgferry.metric("pgferry_tunnel_up{target=\"db\",transport=\"ssh\"}");
    assert_ne!(tunnel, None, "{}", pgferry.admin("/metrics").1);
    fault
}

#[test]
fn a_changed_host_key_is_refused_with_both_fingerprints_until_it_is_known() {
    let mut sshd = Sshd::start();
    sshd.change_host_key().unwrap();
    let pgferry = start("", &[&behind(&sshd)]);
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    let words = ["transport db (ssh", "has changed", "SHA256:", "known_hosts"];
    fault.assert("db", "28000", &words, "ssh-keygen -R");
    std::fs::write(sshd.known_hosts_file(), sshd.known_hosts().unwrap()).unwrap();
    assert_serves(&pgferry, "db");
}

#[test]
fn an_unknown_host_key_is_refused_with_the_line_to_add() {
    let sshd = Sshd::start();
    let known = sshd.known_hosts().unwrap();
    std::fs::write(sshd.known_hosts_file(), "").unwrap();
    let pgferry = start("", &[&behind(&sshd)]);
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    fault.assert("db", "28000", &["transport db (ssh", "is not known", "SHA256:"], "then add to");
    let hint = fault.hint.unwrap();
    let line = known.lines().find(|line| hint.contains(line));
    std::fs::write(sshd.known_hosts_file(), line.expect("the line is in the hint")).unwrap();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_key_that_the_bastion_does_not_let_in_is_named() {
    let sshd = Sshd::start();
    let key = sshd.key_file(Key::Unknown);
    let mut target = behind(&sshd);
    target.transport = ssh(&sshd, &key, &sshd.known_hosts_file());
    let fault = refused(&target);
    fault.assert("db", "28000", &["transport db (ssh", key.to_str().unwrap()], "");
}

#[test]
fn a_destination_that_the_bastion_does_not_permit_is_denied() {
    let sshd = Sshd::builder().permit_open("127.0.0.1:1".parse().unwrap()).start();
    let fault = refused(&behind(&sshd));
    fault.assert("db", "28000", &["transport db (ssh", "does not allow forwarding"], "PermitOpen");
}

#[test]
fn a_bastion_that_forwards_nothing_denies() {
    let sshd = Sshd::builder().allow_tcp_forwarding(false).start();
    let fault = refused(&behind(&sshd));
    let words = ["transport db (ssh", "does not allow forwarding"];
    fault.assert("db", "28000", &words, "AllowTcpForwarding");
}

#[test]
fn a_dead_bastion_is_reported_at_once_and_used_when_it_is_back() {
    let mut sshd = Sshd::start();
    sshd.stop();
    let pgferry = start("", &[&behind(&sshd)]);
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    let bastion = sshd.address().to_string();
    fault.assert("db", "08001", &["transport db (ssh", &bastion, "refused"], "");
    sshd.resume().unwrap();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_bastion_that_says_nothing_is_given_up_at_the_limit_and_used_when_it_is_back() {
    let sshd = Sshd::start();
    sshd.freeze().unwrap();
    let pgferry = start("tunnel_open = \"2s\"", &[&behind(&sshd)]);
    let limit = Duration::from_millis(1500);
    let fault = within(limit, || Wire::refused(pgferry.port("db")));
    fault.assert("db", "08001", &["transport db (ssh", &sshd.port().to_string()], "");
    assert!(fault.message.contains("in time"), "{fault:?}");
    sshd.thaw().unwrap();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_dead_database_behind_the_bastion_is_told_from_a_dead_bastion() {
    let mut target = Target::new("db", &WORLD, Way::SshLinked, Role::Scram);
    let port = free_port();
    let ours = format!("port = {}", WORLD.postgres.port());
    target.database = target.database.replace(&ours, &format!("port = {port}"));
    let fault = refused(&target);
    let words = ["transport db (ssh", "bastion", &format!("127.0.0.1:{port}"), "refused"];
    fault.assert("db", "08001", &words, "the database is running");
}
