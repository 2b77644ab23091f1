//! What only newer PostgreSQL versions can do. Run with the system's version always, and with 14 to
//! 18 by `make test-matrix`; where the programs are too old for a test, it says so and ends.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::process::Command;

use pgferry_simulators::{Authority, Postgres, Role, Sshd};
use support::pgferry::Pgferry;
use support::target::Target;
use support::terminal::ctrl_c_cancels_and_the_session_goes_on;
use support::tls::{ca_file, local_tls};
use support::tool::{run, succeed};
use support::world::{Way, World};

/// The major version of the programs in use.
fn version(postgres: &Postgres) -> u32 {
    let text = succeed(postgres.client("psql").arg("--version"));
    let number = text.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no version in {text}"))
}

/// Whether the programs have what came with this version.
fn since(needed: u32, postgres: &Postgres) -> bool {
    let found = version(postgres);
    if found < needed {
        eprintln!("skipped: needs PostgreSQL {needed}, this is {found}");
    }
    found >= needed
}

fn psql(world: &World, pgferry: &Pgferry) -> Command {
    let mut psql = world.postgres.client("psql");
    psql.env("PGHOST", "127.0.0.1").env("PGPORT", pgferry.port("db").to_string());
    psql.env("PGUSER", "me").env("PGDATABASE", "app");
    psql.args(["-X", "-A", "-t", "-q"]);
    psql
}

fn stage(postgres: Postgres) -> (World, Pgferry) {
    let world = World::with(postgres, Sshd::start());
    let target = Target::new("db", &world, Way::SshLinked, Role::Scram);
    let pgferry = Pgferry::start(&target.to_string());
    (world, pgferry)
}

#[test]
fn the_system_has_a_version_that_is_supported() {
    assert!(version(&Postgres::start()) >= 14);
}

#[test]
fn protocol_3_2_is_settled_with_pgferry_whatever_the_server_speaks() {
    let (world, pgferry) = stage(Postgres::start());
    if !since(18, &world.postgres) {
        return;
    }
    for protocol in ["3.0", "3.2"] {
        let mut psql = psql(&world, &pgferry);
        psql.env("PGMINPROTOCOLVERSION", protocol).env("PGMAXPROTOCOLVERSION", protocol);
        psql.args(["-c", "\\conninfo", "-c", "select 'through'"]);
        let text = succeed(&psql);
        assert!(text.contains(&format!("Protocol Version|{protocol}")), "{text}");
        assert!(text.contains("through"), "{text}");
    }
}

#[test]
fn ctrl_c_cancels_a_query_over_protocol_3_2_with_its_longer_key() {
    let (world, pgferry) = stage(Postgres::start());
    if !since(18, &world.postgres) {
        return;
    }
    let mut psql = psql(&world, &pgferry);
    psql.env("PAGER", "cat").env("PGMINPROTOCOLVERSION", "3.2");
    ctrl_c_cancels_and_the_session_goes_on(&psql);
}

#[test]
fn a_password_hashed_with_any_number_of_iterations_logs_in() {
    let (world, pgferry) = stage(Postgres::start());
    if !since(16, &world.postgres) {
        return;
    }
    let password = world.postgres.password(Role::Scram).to_owned();
    for iterations in [1, 50_000] {
        let set = format!("set scram_iterations = {iterations}");
        let alter = format!("alter role app_scram password '{password}'");
        world.postgres.query(&format!("{set}; {alter}")).unwrap();
        let stored = "select rolpassword from pg_authid where rolname = 'app_scram'";
        let stored = world.postgres.query(stored).unwrap();
        assert!(stored.starts_with(&format!("SCRAM-SHA-256${iterations}:")), "other iterations");
        assert_eq!(succeed(psql(&world, &pgferry).args(["-c", "select 1"])), "1\n");
    }
}

#[test]
fn a_client_may_insist_on_the_way_it_is_asked_for_its_password() {
    let world = World::start();
    if !since(16, &world.postgres) {
        return;
    }
    let file = world.secret_file("local", "open sesame");
    let mut target = Target::new("db", &world, Way::Direct, Role::Scram);
    target.local_auth = format!("{{ kind = \"scram\", password_file = {file:?} }}");
    let asking = Pgferry::start(&target.to_string());
    let insist = |pgferry: &Pgferry, way: &str| {
        let mut psql = psql(&world, pgferry);
        run(psql
            .env("PGREQUIREAUTH", way)
            .env("PGPASSWORD", "open sesame")
            .args(["-c", "select 1"]))
    };
    assert!(insist(&asking, "scram-sha-256").status.success());
    assert!(!insist(&asking, "none").status.success());
    target.local_auth = "{ kind = \"same-user\" }".to_owned();
    let silent = Pgferry::start(&target.to_string());
    assert!(insist(&silent, "none").status.success());
    assert!(!insist(&silent, "scram-sha-256").status.success());
}

#[test]
fn a_listener_is_verified_by_its_address_too() {
    let world = World::start();
    if !since(15, &world.postgres) {
        return;
    }
    let authority = Authority::new("local").expect("an authority");
    let certificate = local_tls(world.directory(), &authority, &["localhost", "127.0.0.1"]);
    let target = Target::new("db", &world, Way::Direct, Role::Scram);
    let pgferry = Pgferry::start(&format!("{target}local_tls = {certificate}\n"));
    let mut psql = psql(&world, &pgferry);
    psql.env("PGSSLMODE", "verify-full");
    psql.env("PGSSLROOTCERT", ca_file(world.directory(), &authority));
    assert_eq!(succeed(psql.args(["-c", "select 1"])), "1\n");
}

#[test]
fn direct_tls_reaches_a_listener_with_a_certificate_and_no_other() {
    let world = World::start();
    if !since(17, &world.postgres) {
        return;
    }
    let authority = Authority::new("local").expect("an authority");
    let certificate = local_tls(world.directory(), &authority, &["127.0.0.1"]);
    let target = Target::new("db", &world, Way::SshLinked, Role::Scram);
    let with = Pgferry::start(&format!("{target}local_tls = {certificate}\n"));
    let without = Pgferry::start(&target.to_string());
    let direct = |pgferry: &Pgferry| {
        let mut psql = psql(&world, pgferry);
        psql.env("PGSSLNEGOTIATION", "direct").env("PGSSLMODE", "verify-full");
        psql.env("PGSSLROOTCERT", ca_file(world.directory(), &authority));
        psql.args(["-c", "select repeat('x', 100000)"]);
        run(&psql)
    };
    let output = direct(&with);
    assert_eq!(output.stdout.len(), 100_001, "{output:?}");
    let output = direct(&without);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("SSL error"), "{said}");
}
