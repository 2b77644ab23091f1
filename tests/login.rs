//! Who gets in: at the listener, and at the database.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Output};

use pgferry_simulators::{Postgres, Role};
use support::PATIENCE;
use support::client::Wire;
use support::pgferry::{Pgferry, pgferry, write_config};
use support::target::Target;
use support::world::{Way, World};

/// Users that need no account: one runs pgferry, the other one is a stranger.
const OWNER: u32 = 61_234;
const STRANGER: u32 = 61_235;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// psql to this place, as this user or as the one who runs the tests.
fn psql(postgres: &Postgres, user: Option<u32>, host: &str, port: &str, more: &str) -> Output {
    let psql = postgres.client("psql");
    let mut command = match user {
        None => Command::new(psql.get_program()),
        Some(uid) => as_user(uid, psql.get_program().as_ref()),
    };
    let conninfo = format!("host={host} port={port} user=me dbname=app {more}");
    command.args(["-X", "-A", "-t", "-q", "-w", "-c", "select current_user", "-d", &conninfo]);
    for name in ["PGPASSWORD", "PGPASSFILE", "PGSSLMODE", "PGSERVICE"] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent").output().expect("psql starts")
}

fn as_user(uid: u32, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let uid = uid.to_string();
    command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "--"]).arg(program);
    command
}

fn assert_in(output: &Output, role: Role) {
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}\n", role.name()), "{output:?}");
}

fn assert_out(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// pgferry as an ordinary user, with its binary and its files where that user can read them.
fn start_as_owner(world: &World, socket: &Path) -> Pgferry {
    let binary = socket.join("pgferry");
    fs::copy(env!("CARGO_BIN_EXE_pgferry"), &binary).unwrap();
    let password = world.secret_file("owners", world.postgres.password(Role::Scram));
    let own = socket.join("password");
    fs::copy(password, &own).unwrap();
    chown(&own, Some(OWNER), Some(OWNER)).unwrap();
    let credential =
        format!("{{ kind = \"password\", user = \"app_scram\", password_file = {own:?} }}");
    let mut direct = Target::new("direct", world, Way::Direct, Role::Scram);
    direct.listen = format!("[\"127.0.0.1:0\", {{ unix = {socket:?} }}]");
    direct.credential.clone_from(&credential);
    let mut tunnel = Target::new("tunnel", world, Way::SshLinked, Role::Scram);
    tunnel.credential = credential;
    let config = format!("[admin]\nlisten = \"127.0.0.1:0\"\n{direct}{tunnel}");
    Pgferry::start_with(&config, |command| {
        let file = write_config(socket, &config);
        chown(&file, Some(OWNER), Some(OWNER)).unwrap();
        *command = as_user(OWNER, &binary);
        command.args(["run", "--log-level", "debug", "--config"]).arg(&file);
    })
}

#[test]
fn same_user_lets_in_its_user_and_root_and_touches_nothing_for_a_stranger() {
    if !is_root() {
        // Without the rights to become somebody else only one's own entry can be shown.
        let world = World::start();
        let target = Target::new("direct", &world, Way::Direct, Role::Scram);
        let pgferry = Pgferry::start(&target.to_string());
        let port = pgferry.port("direct").to_string();
        assert_in(&psql(&world.postgres, None, "127.0.0.1", &port, ""), Role::Scram);
        return;
    }
    let world = World::start();
    let directory =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    chown(directory.path(), Some(OWNER), Some(OWNER)).unwrap();
    let pgferry = start_as_owner(&world, directory.path());
    let socket = directory.path().join(".s.PGSQL.5432");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o7777, 0o600);
    let (direct, tunnel) = (pgferry.port("direct").to_string(), pgferry.port("tunnel").to_string());
    let unix = directory.path().to_str().unwrap();
    let try_as = |user, host, port: &str| psql(&world.postgres, user, host, port, "");

    let words = ["local login", "comes from a process of user 61235", "HINT", "local_auth"];
    assert_out(&try_as(Some(STRANGER), "127.0.0.1", &direct), &words);
    assert_out(&try_as(Some(STRANGER), "127.0.0.1", &tunnel), &words);
    assert_out(&try_as(Some(STRANGER), unix, "5432"), &["Permission denied"]);
    // Even where somebody has opened the socket's file to everyone.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    assert_out(&try_as(Some(STRANGER), unix, "5432"), &words);
    assert_eq!(world.sshd.connections(), 0, "a tunnel was opened for a stranger");
    assert_eq!(world.postgres.log().count("connection received: host=127.0.0.1"), 0);
    let (_, metrics) = pgferry.admin("/metrics");
    assert!(!metrics.contains("phase=\"credentials\",outcome"), "a credential was read: {metrics}");

    for user in [Some(OWNER), None] {
        assert_in(&try_as(user, "127.0.0.1", &direct), Role::Scram);
        assert_in(&try_as(user, unix, "5432"), Role::Scram);
    }
}

#[test]
fn trust_lets_everyone_in_and_has_to_be_spoken() {
    let world = World::start();
    let mut target = Target::new("db", &world, Way::Direct, Role::Scram);
    target.local_auth = "{ kind = \"trust\" }".to_owned();
    let pgferry = Pgferry::start(&target.to_string());
    let port = pgferry.port("db").to_string();
    let user = is_root().then_some(STRANGER);
    assert_in(&psql(&world.postgres, user, "127.0.0.1", &port, ""), Role::Scram);
}

#[test]
fn an_address_that_others_can_reach_needs_scram() {
    let world = World::start();
    let directory = tempfile::tempdir().unwrap();
    for kind in ["same-user", "trust"] {
        let mut target = Target::new("db", &world, Way::Direct, Role::Scram);
        target.listen = "\"0.0.0.0:0\"".to_owned();
        target.local_auth = format!("{{ kind = \"{kind}\" }}");
        let file = write_config(directory.path(), &target.to_string());
        let output = pgferry(&["run", "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(65), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("targets.db.local_auth") && said.contains("scram"), "{said}");
    }
}

#[test]
fn scram_lets_in_whoever_knows_pgferrys_own_password() {
    let world = World::start();
    let file = world.secret_file("local", "open sesame");
    let mut target = Target::new("db", &world, Way::Direct, Role::Scram);
    target.listen = "\"0.0.0.0:0\"".to_owned();
    target.local_auth = format!("{{ kind = \"scram\", user = \"me\", password_file = {file:?} }}");
    let pgferry = Pgferry::start(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n{target}"));
    let port = pgferry.port("db").to_string();
    let try_with = |more: &str| psql(&world.postgres, None, "127.0.0.1", &port, more);

    assert_out(&try_with(""), &["no password supplied"]);
    let wrong = "password authentication failed for user \"me\"";
    let hint = "not the database's";
    assert_out(&try_with("password=sesame"), &["local login", wrong, hint]);
    let wrong = "password authentication failed for user \"root\"";
    assert_out(&try_with("password='open sesame' user=root"), &["local login", wrong, hint]);
    let databases = world.postgres.password(Role::Scram);
    assert_out(&try_with(&format!("password={databases}")), &["local login", hint]);
    assert_eq!(world.postgres.log().count("connection received: host=127.0.0.1"), 0);
    let (_, metrics) = pgferry.admin("/metrics");
    assert!(!metrics.contains("phase=\"credentials\",outcome"), "a credential was read: {metrics}");

    assert_in(&try_with("password='open sesame'"), Role::Scram);
    let mut command = world.psql(&pgferry, "db");
    let output = command.env("PGPASSWORD", "open sesame").args(["-c", "select current_user"]);
    assert_in(&output.output().unwrap(), Role::Scram);
}

#[test]
fn tls_is_not_spoken_locally_and_psql_is_told_so() {
    let world = World::start();
    let target = Target::new("db", &world, Way::Direct, Role::Scram);
    let pgferry = Pgferry::start(&target.to_string());
    let port = pgferry.port("db").to_string();
    let try_with = |more: &str| psql(&world.postgres, None, "127.0.0.1", &port, more);
    assert_out(&try_with("sslmode=require"), &["server does not support SSL"]);
    for mode in ["prefer", "allow", "disable"] {
        assert_in(&try_with(&format!("sslmode={mode}")), Role::Scram);
    }
}

#[test]
fn every_method_of_the_database_is_answered_for() {
    let world = World::start();
    let roles = [
        ("scram", Role::Scram, "scram-sha-256"),
        ("md5", Role::Md5, "md5"),
        ("clear", Role::Cleartext, "password"),
        ("trust", Role::Trust, "trust"),
        ("hostssl", Role::HostsslOnly, "scram-sha-256"),
        ("reject", Role::Reject, ""),
    ];
    let targets: String = roles
        .iter()
        .map(|(name, role, _)| Target::new(name, &world, Way::SshLinked, *role).to_string())
        .collect();
    let pgferry = Pgferry::start(&targets);
    for (name, role, method) in &roles[..5] {
        let rows = Wire::open(pgferry.port(name)).unwrap().query("select current_user").unwrap();
        assert_eq!(rows, [role.name()]);
        let log = world.postgres.log();
        let line = if *method == "trust" {
            format!("connection authorized: user={}", role.name())
        } else {
            format!("connection authenticated: identity=\"{}\" method={method}", role.name())
        };
        log.wait_for(&line, PATIENCE).unwrap();
    }
    let fault = Wire::refused(pgferry.port("reject"));
    fault.assert("reject", "28000", &["server login", "pg_hba.conf rejects"], "[targets.reject]");
}

#[test]
fn scram_is_bound_to_the_tls_connection_where_there_is_one() {
    let world = World::start();
    let tls = Target::new("tls", &world, Way::Direct, Role::Scram).to_string();
    let plain = Target::new("plain", &world, Way::Direct, Role::Scram).to_string();
    let database = world.database();
    let plain = plain.replace(&database, &world.database_with(", tls = \"disable\""));
    let pgferry = Pgferry::start(&format!("{tls}{plain}"));
    // The database refuses a proof whose binding is not that of its own connection: that the login
    // goes through says that it was right.
    for (target, mechanism) in [("tls", "\"SCRAM-SHA-256-PLUS\""), ("plain", "\"SCRAM-SHA-256\"")] {
        let rows = Wire::open(pgferry.port(target)).unwrap().query("select 1").unwrap();
        assert_eq!(rows, ["1"]);
        let line = format!("mechanism={mechanism}");
        pgferry.log().wait_for(&line, PATIENCE).unwrap();
    }
}
