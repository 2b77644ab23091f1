//! Logins without TLS towards the application.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use pgferry_simulators::{Role, Shutdown};

use crate::stage::{Stage, failure, user};
use crate::support::PATIENCE;
use crate::support::terminal::{Terminal, ctrl_c_cancels_and_the_session_goes_on};

#[test]
fn the_clients_own_user_and_password_reach_the_database() {
    let stage = Stage::get();
    for role in [Role::Scram, Role::Md5, Role::Cleartext, Role::Trust, Role::HostsslOnly] {
        for target in ["plain", "tunnel"] {
            assert_eq!(user(stage.psql_as(target, role, "")), role.name(), "{target}");
        }
    }
    for role in [Role::Scram, Role::Md5] {
        assert_eq!(user(stage.psql_as("bare", role, "")), role.name());
    }
    let log = stage.world.postgres.log();
    for (role, method) in [("scram", "scram-sha-256"), ("md5", "md5"), ("clear", "password")] {
        let line = format!("connection authenticated: identity=\"app_{role}\" method={method}");
        log.wait_for(&line, PATIENCE).unwrap();
    }
}

#[test]
fn a_wrong_password_is_refused_in_the_databases_own_words() {
    let stage = Stage::get();
    let direct = stage.world.postgres.port();
    let behind = |said: &str| said.split_once("failed: ").unwrap().1.to_owned();
    for role in [Role::Scram, Role::Md5, Role::Cleartext] {
        let through = stage.psql("plain", role.name(), Some("wrong"), "");
        let without = stage.psql_to(direct, role.name(), Some("wrong"), "sslmode=require");
        assert_eq!(behind(&failure(through)), behind(&failure(without)));
    }
    let said = failure(stage.psql_as("plain", Role::Reject, ""));
    assert!(said.contains("pg_hba.conf rejects") && !said.contains("target"), "{said}");
    let said = failure(stage.psql_as("plain", Role::Scram, "dbname=nowhere"));
    assert!(said.contains("database \"nowhere\" does not exist"), "{said}");
    let (_, metrics) = stage.pgferry.admin("/metrics");
    let denied =
        "pgferry_connect_failures_total{target=\"plain\",phase=\"auth\",reason=\"denied\"}";
    assert!(metrics.contains(denied), "{metrics}");
    let said = "db_response_status_code=\"28P01\",origin=\"server\"";
    assert!(metrics.contains(said), "{metrics}");
}

#[test]
fn a_client_without_a_password_leaves_to_ask_for_it_and_nothing_has_failed() {
    let mut stage = Stage::start();
    for target in ["plain", "open"] {
        let said = failure(stage.psql(target, "app_scram", None, ""));
        assert!(said.contains("no password supplied"), "{said}");
    }
    let (_, metrics) = stage.pgferry.admin("/metrics");
    assert!(!metrics.contains("pgferry_connect_failures_total{"), "{metrics}");
    let log = stage.pgferry.log().text();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    stage.world.postgres.stop(Shutdown::Fast).unwrap();
    let log = stage.world.postgres.log().text();
    assert!(!log.contains("could not receive data"), "{log}");
}

#[test]
fn psql_asks_at_a_terminal() {
    let stage = Stage::get();
    let port = stage.pgferry.port("plain").to_string();
    let mut psql = stage.world.postgres.client("psql");
    psql.args(["-X", "-A", "-t", "-q", "-P", "pager=off", "-h", "127.0.0.1", "-p", &port]);
    psql.args(["-U", "app_scram", "app"]).env("HOME", "/nonexistent");
    let mut terminal = Terminal::start(&psql);
    terminal.see("Password for user app_scram: ");
    terminal.enter(stage.world.postgres.password(Role::Scram));
    terminal.see("app=> ");
    terminal.enter("select 'I am ' || current_user;");
    terminal.see("I am app_scram");
    terminal.enter("\\q");
    assert!(terminal.end().success());
}

#[test]
fn names_and_passwords_may_have_any_character() {
    let stage = Stage::get();
    let (name, password) = ("Ünï \"q\" u,o=te\\ 'x'", "pä=s,s \"w\" \\ 'x' ‘ £");
    let quoted = name.replace('"', "\"\"");
    let literal = password.replace('\'', "''");
    for method in ["scram-sha-256", "md5"] {
        let role = format!("\"{quoted} {method}\"");
        let sql = format!(
            "set password_encryption = '{method}'; \
             create role {role} login password '{literal}' in role by_md5"
        );
        stage.world.postgres.query(&sql).unwrap();
        let name = format!("{name} {method}");
        assert_eq!(user(stage.psql("plain", &name, Some(password), "")), name);
        assert_eq!(user(stage.psql("tunnel", &name, Some(password), "")), name);
        stage.world.postgres.query(&format!("drop role {role}")).unwrap();
    }
}

#[test]
fn the_password_file_of_the_client_works() {
    let stage = Stage::get();
    let file = stage.world.directory().join("pgpass");
    let password = stage.world.postgres.password(Role::Scram);
    let port = stage.pgferry.port("plain");
    fs::write(&file, format!("localhost:{port}:app:app_scram:{password}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut psql = stage.psql("plain", "app_scram", None, "");
    psql.env("PGPASSFILE", &file);
    assert_eq!(user(psql), "app_scram");
}

#[test]
fn a_query_can_be_cancelled() {
    let stage = Stage::get();
    let mut psql = stage.world.postgres.client("psql");
    let port = stage.pgferry.port("plain").to_string();
    psql.args(["-X", "-n", "-A", "-t", "-q", "-P", "pager=off", "-h", "127.0.0.1", "-p", &port]);
    psql.args(["-U", "app_scram", "app"]).env("HOME", "/nonexistent");
    psql.env("PGPASSWORD", stage.world.postgres.password(Role::Scram));
    ctrl_c_cancels_and_the_session_goes_on(&psql);
}
