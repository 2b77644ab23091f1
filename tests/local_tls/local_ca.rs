//! The local CA, from its making to a verified session.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pgferry_simulators::Role;

use crate::stage::{assert_fails, psql};
use crate::support::pgferry::{Pgferry, binary, write_config};
use crate::support::target::Target;
use crate::support::tool::succeed;
use crate::support::world::{Way, World};

fn in_home(home: &Path, arguments: &[&str]) -> Command {
    let mut command = binary();
    command.args(arguments).env("XDG_DATA_HOME", home);
    command
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn config(world: &World) -> String {
    let target = Target::new("db", world, Way::Direct, Role::Scram);
    format!("{target}local_tls = {{ kind = \"local-ca\", required = true }}\n")
}

#[test]
fn it_is_made_once_and_psql_verifies_what_it_signed() {
    let world = World::start();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("pgferry/local-ca/ca.pem");
    let first = in_home(home.path(), &["local-ca"]).output().unwrap();
    assert!(first.status.success(), "{first:?}");
    let said = out(&first);
    assert!(said.contains(&format!("{}: made, good until 20", file.display())), "{said}");
    assert!(said.contains("local_tls = { kind = \"local-ca\" }"), "{said}");
    let certificate = fs::read(&file).unwrap();
    let again = in_home(home.path(), &["local-ca", "--json"]).output().unwrap();
    assert!(out(&again).contains("\"made\": false"), "{again:?}");
    assert_eq!(fs::read(&file).unwrap(), certificate);

    let pgferry = Pgferry::start_with(&config(&world), |command| {
        command.env("XDG_DATA_HOME", home.path());
    });
    // The line it says to connect with, as it stands, is one that works.
    let port = pgferry.port("db");
    let line = format!(
        "connect with: psql \"host=localhost port={port} sslmode=verify-full sslrootcert={}\"",
        file.display()
    );
    assert_eq!(pgferry.log().count(&line), 1);
    let port = port.to_string();
    let more = format!("sslmode=verify-full sslrootcert={}", file.display());
    let select = ["-c", "select 'served'"];
    assert_eq!(succeed(psql(&world, &port, &more).args(select)), "served\n");
    let other_name = more + " host=db.example";
    assert_fails(&psql(&world, &port, &other_name), &["does not match host name"]);
}

#[test]
fn it_signs_for_this_machine_alone_whoever_has_its_key() {
    let home = tempfile::tempdir().unwrap();
    assert!(in_home(home.path(), &["local-ca"]).status().unwrap().success());
    let directory = home.path().join("pgferry/local-ca");
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(&directory).output();
        output.expect("openssl starts")
    };
    for (name, good) in [
        ("DNS:localhost", true),
        ("IP:127.0.0.9", true),
        ("IP:::1", true),
        ("DNS:bank.example", false),
        ("IP:192.0.2.1", false),
        ("IP:::2", false),
    ] {
        let san = format!("subjectAltName={name}");
        let signed = openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "leaf.key",
            "-out",
            "leaf.pem",
            "-subj",
            "/CN=x",
            "-days",
            "1",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-addext",
            &san,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        assert!(signed.status.success(), "{signed:?}");
        let verified = openssl(&["verify", "-CAfile", "ca.pem", "leaf.pem"]);
        assert_eq!(verified.status.success(), good, "{name}: {verified:?}");
        if !good {
            let said = String::from_utf8_lossy(&verified.stderr).into_owned();
            assert!(said.contains("permitted subtree violation"), "{said}");
        }
    }
}

#[test]
fn a_target_that_wants_it_says_how_to_make_it() {
    let world = World::start();
    let home = tempfile::tempdir().unwrap();
    let file = write_config(home.path(), &config(&world));
    let file = file.to_str().unwrap();
    for command in [&["config", "check", "--config", file][..], &["run", "--config", file]] {
        let output = in_home(home.path(), command).output().unwrap();
        assert_eq!(output.status.code(), Some(65), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        let words = ["targets.db: local_tls", "no local CA", "make it with: pgferry local-ca"];
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    assert!(!home.path().join("pgferry").exists(), "looking makes nothing");
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("pgferry"), "in the way").unwrap();
    let output = in_home(home.path(), &["local-ca"]).output().unwrap();
    assert_eq!(output.status.code(), Some(65), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("pgferry/local-ca") && said.contains("Not a directory"), "{said}");
    let output = binary().arg("local-ca").env_remove("XDG_DATA_HOME").env_remove("HOME").output();
    let said = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
    assert!(said.contains("set HOME or XDG_DATA_HOME"), "{said}");
}
