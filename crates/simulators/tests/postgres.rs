//! The throwaway PostgreSQL server, as its own client sees it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{process::Command, time::Duration};

use pgferry_simulators::{Postgres, Presented, Role, SERVER_NAME, Shutdown};

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn every_role_logs_in_its_own_way() {
    let server = Postgres::start();
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Reject) {
        let rows = ask(
            &server,
            role,
            "SELECT current_user, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        );
        assert_eq!(rows, Ok(format!("{}|TLSv1.3", role.name())), "{role:?}");
    }
    let refusal = ask(&server, Role::Reject, "SELECT 1").unwrap_err();
    assert!(refusal.contains("pg_hba.conf rejects connection"), "{refusal}");
}

#[test]
fn a_wrong_password_is_refused() {
    let server = Postgres::start();
    for role in [Role::Scram, Role::Md5, Role::Cleartext, Role::HostsslOnly] {
        let mut psql = server.psql(role);
        let refusal = said(psql.args(["-c", "SELECT 1"]).env("PGPASSWORD", "wrong")).unwrap_err();
        assert!(refusal.contains("password authentication failed"), "{role:?}: {refusal}");
    }
}

#[test]
fn passwords_that_need_tls_are_not_asked_for_without_it() {
    let server = Postgres::start();
    for role in [Role::Cleartext, Role::HostsslOnly] {
        let plain =
            server.connect_direct_args(role).replace("sslmode=verify-full", "sslmode=disable");
        let mut psql = server.client("psql");
        psql.args(["-X", "-d", &plain, "-c", "SELECT 1"]).env("PGPASSWORD", server.password(role));
        let refusal = said(&mut psql).unwrap_err();
        assert!(refusal.contains("rejects connection"), "{role:?}: {refusal}");
    }
}

#[test]
fn the_certificate_carries_the_cluster_name_and_no_address() {
    let server = Postgres::start();
    let by_address = server.connect_direct_args(Role::Scram).replace(SERVER_NAME, "127.0.0.1");
    let mut psql = server.client("psql");
    psql.args(["-X", "-d", &by_address, "-c", "SELECT 1"]);
    let refusal = said(&mut psql).unwrap_err();
    assert!(refusal.contains(&format!("server certificate for \"{SERVER_NAME}\"")), "{refusal}");
}

#[test]
fn each_wrong_certificate_fails_verify_full_for_its_own_reason() {
    let reasons = [
        (Presented::WrongName, "does not match host name"),
        (Presented::WrongAuthority, "certificate verify failed"),
        (Presented::Expired, "certificate"),
        (Presented::Nothing, "server does not support SSL"),
    ];
    for (presented, reason) in reasons {
        let server = Postgres::builder().present(presented).start();
        let refusal = ask(&server, Role::Trust, "SELECT 1").unwrap_err();
        assert!(refusal.contains(reason), "{presented:?}: {refusal}");
    }
}

#[test]
fn every_role_can_create_tables_in_app() {
    let server = Postgres::start();
    for role in [Role::Scram, Role::Md5, Role::Trust] {
        let sql = format!("CREATE TABLE of_{} (n int)", role.name());
        assert_eq!(ask(&server, role, &sql), Ok(String::new()), "{role:?}");
    }
}

#[test]
fn the_superuser_looks_past_the_network_through_the_unix_socket() {
    let server = Postgres::builder().unix_socket_only().start();
    assert_eq!(server.address(), None);
    assert_eq!(
        server.query("SELECT inet_server_addr() IS NULL, current_user").unwrap(),
        "t|postgres"
    );
    assert_eq!(ask(&server, Role::Scram, "SELECT current_database()"), Ok("app".to_owned()));
}

#[test]
fn another_loopback_address_is_the_only_one_listened_on() {
    let server = Postgres::builder().listen([127, 0, 9, 1].into()).start();
    assert_eq!(
        ask(&server, Role::Scram, "SELECT host(inet_server_addr())"),
        Ok("127.0.9.1".to_owned())
    );
    let refused = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn settings_and_rules_of_the_caller_win() {
    let server = Postgres::builder()
        .setting("max_connections", "17")
        .setting("application_name", "it's")
        .hba("host all app_trust all reject")
        .start();
    let shown = server.query("SELECT current_setting('max_connections')").unwrap();
    assert_eq!(shown, "17");
    assert!(ask(&server, Role::Trust, "SELECT 1").unwrap_err().contains("rejects connection"));
}

#[test]
fn a_restart_keeps_port_and_data() {
    let mut server = Postgres::start();
    let port = server.port();
    server.query("CREATE TABLE kept (n int)").unwrap();
    for mode in [Shutdown::Fast, Shutdown::Immediate] {
        server.restart(mode).unwrap();
        assert_eq!(server.port(), port);
        assert_eq!(server.query("SELECT count(*) FROM kept").unwrap(), "0");
    }
    server.stop(Shutdown::Fast).unwrap();
    assert!(ask(&server, Role::Trust, "SELECT 1").unwrap_err().contains("Connection refused"));
    server.resume().unwrap();
    assert_eq!(ask(&server, Role::Trust, "SELECT 1"), Ok("1".to_owned()));
}

#[test]
fn the_log_tells_who_connected() {
    let server = Postgres::start();
    let mark = server.log().mark();
    ask(&server, Role::Md5, "SELECT 1").unwrap();
    let line =
        server.log().wait_for_after(mark, "connection authorized: user=app_md5", LIMIT).unwrap();
    assert!(line.contains("SSL enabled"), "{line}");
}

#[test]
fn waiting_for_a_line_that_never_comes_ends() {
    let mut server = Postgres::start();
    let silent = server.log().wait_for("no such line", Duration::from_millis(20)).unwrap_err();
    assert!(silent.to_string().contains("did not say \"no such line\" within 20ms"), "{silent}");
    let log = server.log().clone();
    let waiter = std::thread::spawn(move || log.wait_for("no such line", LIMIT));
    server.stop(Shutdown::Immediate).unwrap();
    let ended = waiter.join().unwrap().unwrap_err();
    assert!(ended.to_string().contains("ended while waiting"), "{ended}");
}

#[test]
fn a_frozen_server_answers_after_the_thaw() {
    let server = Postgres::start();
    server.freeze().unwrap();
    let mut psql = server.psql(Role::Trust);
    let mut running = psql.args(["-c", "SELECT 1"]).spawn().unwrap();
    assert_eq!(running.try_wait().unwrap(), None);
    server.thaw().unwrap();
    assert!(running.wait().unwrap().success());
}

#[test]
fn replication_connections_work() {
    let server = Postgres::start();
    let direct = server.connect_direct_args(Role::Replication);
    let logical = format!("{direct} replication=database");
    let mut psql = server.client("psql");
    psql.args(["-X", "-A", "-t", "-d", &logical, "-c", "IDENTIFY_SYSTEM"]);
    psql.env("PGPASSWORD", server.password(Role::Replication));
    assert!(said(&mut psql).unwrap().ends_with("|app"));
}

fn ask(server: &Postgres, role: Role, sql: &str) -> Result<String, String> {
    said(server.psql(role).args(["-c", sql]))
}

fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
