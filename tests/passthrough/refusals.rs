//! What cannot be carried, and who takes too long.

use pgferry_simulators::{Role, Shutdown};

use crate::stage::{Stage, assert_fails};
use crate::support::PATIENCE;
use crate::support::client::Wire;
use crate::support::pgferry::{Pgferry, pgferry, write_config};
use crate::support::target::Target;
use crate::support::world::{Way, World};

const SCRAM: [(&str, &str); 2] = [("user", "app_scram"), ("database", "app")];

fn passthrough(world: &World) -> Target {
    let mut target = Target::new("db", world, Way::Direct, Role::Scram);
    "{ kind = \"passthrough\" }".clone_into(&mut target.credential);
    target
}

#[test]
fn a_method_that_cannot_be_carried_is_named() {
    let stage = Stage::get();
    let words = ["target \"plain\": server login:", "GSSAPI", "not supported", "scram-sha-256"];
    assert_fails(stage.psql("plain", "app_gss", Some("x"), "gssencmode=disable"), &words);
}

#[test]
fn nobody_is_asked_for_a_password_that_a_stranger_could_read() {
    let stage = Stage::get();
    let words = ["server login:", "password in clear text", "verify-full"];
    assert_fails(stage.psql_as("chain", Role::Cleartext, ""), &words);
    assert_fails(stage.psql("bare", "app_open", Some("open"), ""), &words);
}

#[test]
fn a_local_password_beside_it_is_refused_at_the_start() {
    let stage = Stage::get();
    let file = stage.world.secret_file("local", "open sesame");
    let mut target = passthrough(&stage.world);
    target.local_auth = format!("{{ kind = \"scram\", password_file = {file:?} }}");
    let directory = tempfile::tempdir().unwrap();
    let config = write_config(directory.path(), &target.to_string());
    let output = pgferry(&["config", "check", "--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(65), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("targets.db.local_auth") && said.contains("passthrough"), "{said}");
    target.listen = "\"0.0.0.0:0\"".to_owned();
    target.local_auth = "{ kind = \"trust\" }".to_owned();
    write_config(directory.path(), &target.to_string());
    let output = pgferry(&["config", "check", "--config", config.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("127.0.0.1") && !said.contains("password_file"), "{said}");
}

#[test]
fn a_client_that_never_answers_is_told_so() {
    let world = World::start();
    let pgferry =
        Pgferry::start(&format!("[limits]\nlocal_login = \"1s\"\n{}", passthrough(&world)));
    let mut client = Wire::start(pgferry.port("db"), &SCRAM);
    let request = client.next().unwrap().unwrap();
    assert_eq!((request.tag, &request.body[..]), (b'R', &b"\0\0\0\x0aSCRAM-SHA-256\0\0"[..]));
    client.fault().assert("db", "28000", &["local login", "1s"], "local_login");
    client.assert_closed();
}

#[test]
fn a_client_that_breaks_the_protocol_is_told_so() {
    let stage = Stage::get();
    let mut client = Wire::start(stage.pgferry.port("plain"), &SCRAM);
    client.next().unwrap().unwrap();
    client.ask("select 1");
    let fault = client.fault();
    assert_eq!((&fault.code[..], fault.message.contains("client")), ("08P01", true), "{fault:?}");
}

#[test]
fn a_database_that_stops_does_not_wait_for_the_client() {
    let mut world = World::start();
    let pgferry = Pgferry::start(&passthrough(&world).to_string());
    let mut client = Wire::start(pgferry.port("db"), &SCRAM);
    client.next().unwrap().unwrap();
    world.postgres.stop(Shutdown::Immediate).unwrap();
    let fault = client.fault();
    assert!(fault.code == "08001" || fault.code.starts_with("57P"), "{fault:?}");
    pgferry.log().wait_for("no session", PATIENCE).unwrap();
}
