//! The database's certificate, and servers without one.

use pgferry_simulators::{Authority, Postgres, Presented, Role, SERVER_NAME, Sshd};

use crate::support::client::{Fault, Wire};
use crate::support::pgferry::Pgferry;
use crate::support::target::Target;
use crate::support::world::{Way, World};
use crate::{WORLD, assert_serves, at_once, start};

fn world(presented: Presented) -> World {
    World::with(Postgres::builder().present(presented).start(), Sshd::start())
}

fn refused(world: &World) -> Fault {
    let target = Target::new("db", world, Way::Direct, Role::Scram);
    let pgferry = start("", &[&target]);
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    assert_eq!(Wire::refused(pgferry.port("db")), fault, "the next client is told the same");
    fault
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let fault = refused(&world(Presented::WrongAuthority));
    fault.assert("db", "08001", &["tls", "not signed by", "trusted"], "database.ca_file");
}

#[test]
fn a_ca_file_of_another_authority_is_refused_through_the_tunnel_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, Authority::new("another").unwrap().pem()).unwrap();
    let mut target = Target::new("db", &WORLD, Way::SshLinked, Role::Scram);
    let ours = WORLD.postgres.ca_file();
    target.database = target.database.replace(ours.to_str().unwrap(), file.to_str().unwrap());
    let pgferry = start("", &[&target]);
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    fault.assert("db", "08001", &["tls", "not signed by"], "[targets.db] database.ca_file");
}

#[test]
fn an_authority_of_the_systems_trust_store_does_not_count_for_a_name_of_rds() {
    let ca_file = format!(", ca_file = {:?}", WORLD.postgres.ca_file());
    let mut rds = Target::new("rds", &WORLD, Way::Direct, Role::Scram);
    rds.database = rds.database.replace(&ca_file, "");
    let mut alias = Target { name: "alias", ..rds.clone() };
    alias.database = rds.database.replace(SERVER_NAME, "db.example");
    let config = format!("{rds}{alias}");
    let pgferry = Pgferry::start_with(&config, |command| {
        command.env("SSL_CERT_FILE", WORLD.postgres.ca_file()).env_remove("SSL_CERT_DIR");
    });
    let fault = at_once(|| Wire::refused(pgferry.port("rds")));
    fault.assert("rds", "08001", &["tls", "not signed by"], "config check");
    // For the alias it does: that certificate only has another name.
    let fault = at_once(|| Wire::refused(pgferry.port("alias")));
    fault.assert("alias", "08001", &["tls", "not for \"db.example\""], "database.host");
}

#[test]
fn a_certificate_for_another_name_needs_verify_ca_which_never_sends_a_cleartext_password() {
    let world = world(Presented::WrongName);
    let full = Target::new("full", &world, Way::Direct, Role::Scram);
    let mut chain = Target::new("chain", &world, Way::Direct, Role::Scram);
    chain.database = world.database_with(", tls = \"verify-ca\"");
    let mut clear = Target { name: "clear", ..chain.clone() };
    clear.credential = world.credential(Role::Cleartext);
    let pgferry = start("", &[&full, &chain, &clear]);
    let fault = at_once(|| Wire::refused(pgferry.port("full")));
    let names = ["tls", SERVER_NAME, "it is for", "other.cluster-xyz789"];
    fault.assert("full", "08001", &names, "database.host");
    assert_serves(&pgferry, "chain");
    let fault = at_once(|| Wire::refused(pgferry.port("clear")));
    fault.assert("clear", "28000", &["server login", "clear text"], "verify-full");
}

#[test]
fn an_expired_certificate_is_refused() {
    let fault = refused(&world(Presented::Expired));
    fault.assert("db", "08001", &["tls", "expired"], "clock");
}

#[test]
fn a_server_without_tls_needs_disable_which_never_sends_a_cleartext_password() {
    let postgres = Postgres::builder()
        .present(Presented::Nothing)
        .hba("host all app_clear all password")
        .start();
    let world = World::with(postgres, Sshd::start());
    let full = Target::new("full", &world, Way::Direct, Role::Scram);
    let mut plain = Target::new("plain", &world, Way::Direct, Role::Scram);
    plain.database = world.database_with(", tls = \"disable\"");
    let mut clear = Target { name: "clear", ..plain.clone() };
    clear.credential = world.credential(Role::Cleartext);
    let pgferry = start("", &[&full, &plain, &clear]);
    let fault = at_once(|| Wire::refused(pgferry.port("full")));
    fault.assert("full", "08001", &["tls", "does not speak TLS"], "database.tls");
    assert_serves(&pgferry, "plain");
    let fault = at_once(|| Wire::refused(pgferry.port("clear")));
    fault.assert("clear", "28000", &["server login", "clear text"], "SCRAM-SHA-256");
}
