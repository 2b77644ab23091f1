//! Applications that say nothing, leave, do not read, or are too many.

use std::time::Duration;

use pgferry_simulators::{Role, Sshd};

use crate::support::PATIENCE;
use crate::support::client::{ME, Wire};
use crate::support::target::Target;
use crate::support::world::{Way, World};
use crate::{WORLD, assert_serves, at_once, start, within};

#[test]
fn a_client_that_says_nothing_is_told_so_at_the_limit() {
    let target = Target::new("db", &WORLD, Way::Direct, Role::Scram);
    let pgferry = start("local_login = \"1s\"", &[&target]);
    // Nothing at all, and half a startup packet.
    for beginning in [&b""[..], b"\0\0\0\x20\0\x03"] {
        let mut client = Wire::connect(pgferry.port("db"));
        client.write(beginning);
        let fault = within(Duration::from_millis(900), || client.fault());
        fault.assert("db", "28000", &["local login", "within 1s"], "local_login in [limits]");
        client.assert_closed();
    }
    assert_serves(&pgferry, "db");
}

#[test]
fn a_client_that_leaves_while_the_tunnel_opens_takes_its_open_along() {
    let world = World::with(pgferry_simulators::Postgres::start(), Sshd::start());
    let target = Target::new("db", &world, Way::SshLinked, Role::Scram);
    let pgferry = start("", &[&target]);
    world.sshd.freeze().unwrap();
    let client = Wire::start(pgferry.port("db"), &ME);
    let series = "pgferry_connect_phase_duration_seconds_count{target=\"db\",transport=\"ssh\",\
                  phase=\"credentials\",outcome=\"ok\"}";
    pgferry.await_metric(series, 1.0);
    drop(client);
    let line = "the application closed the connection";
    at_once(|| pgferry.log().wait_for(line, PATIENCE)).unwrap();
    let address = pgferry.address("db");
    let open = format!("pgferry_client_connections{{target=\"db\",listener=\"{address}\"}}");
    pgferry.await_metric(&open, 0.0);
    world.sshd.thaw().unwrap();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_client_that_reads_nothing_for_a_while_loses_nothing_and_its_pause_is_no_query_time() {
    const ROWS: usize = 200_000;
    let slow = Target::new("slow", &WORLD, Way::Direct, Role::Scram);
    let clock = Target { name: "clock", ..slow.clone() };
    let pgferry = start("", &[&slow, &clock]);
    let mut client = Wire::open(pgferry.port("slow")).unwrap();
    client.ask(&format!("select repeat('z', 100) from generate_series(1, {ROWS})"));
    // The pause: as long as another session needs for this.
    let mut other = Wire::open(pgferry.port("clock")).unwrap();
    other.query("select pg_sleep(4)").unwrap();
    let rows = client.ready().unwrap().into_iter().filter(|message| message.tag == b'D');
    assert_eq!(rows.filter(|row| row.body.ends_with(&[b'z'; 100])).count(), ROWS);
    drop(client);
    pgferry.log().wait_for("session closed", PATIENCE).unwrap();
    let stalled = pgferry.metric("pgferry_client_stall_seconds_total{target=\"slow\"}");
    assert!(stalled.is_some_and(|seconds| seconds > 2.0), "{stalled:?}");
    let took = pgferry.metric(
        "db_client_operation_duration_seconds_sum{db_system_name=\"postgresql\",target=\"slow\",\
         db_operation_name=\"SELECT\",outcome=\"ok\"}",
    );
    assert!(took.is_some_and(|seconds| seconds < 2.0), "{took:?} {}", pgferry.admin("/metrics").1);
}

#[test]
fn a_client_that_closes_its_direction_still_gets_its_answer() {
    for way in [Way::Direct, Way::SshLinked] {
        let target = Target::new("db", &WORLD, way, Role::Scram);
        let pgferry = start("", &[&target]);
        let mut client = Wire::open(pgferry.port("db")).unwrap();
        client.ask("select 42 from pg_sleep(0.2)");
        client.shutdown();
        let answer = client.ready().unwrap();
        assert!(answer.iter().any(|message| message.tag == b'D'), "{way:?}: {answer:?}");
        at_once(|| client.assert_closed());
        let reason =
            "pgferry_client_connections_closed_total{target=\"db\",reason=\"client_closed\"}";
        pgferry.await_metric(reason, 1.0);
        assert_serves(&pgferry, "db");
    }
}

#[test]
fn one_client_too_many_is_told_so_while_cancel_requests_pass() {
    let target = Target::new("db", &WORLD, Way::Direct, Role::Scram);
    let pgferry = start("connections = 2", &[&target]);
    let port = pgferry.port("db");
    let (mut busy, key) = Wire::open_with_key(port);
    let idle = Wire::open(port).unwrap();
    let fault = at_once(|| Wire::refused(port));
    fault.assert("db", "53300", &["pgferry", "already has 2 clients"], "connections in [limits]");
    busy.ask("select pg_sleep(60)");
    let running = format!(
        "select count(*) from pg_stat_activity where state = 'active' and query like '%sleep(60)%' \
         and pid = {}",
        i32::from_be_bytes(key[..4].try_into().unwrap())
    );
    while WORLD.postgres.query(&running).unwrap() != "1" {}
    at_once(|| Wire::cancel(port, &key));
    assert_eq!(busy.ready().unwrap_err().code, "57014");
    drop(idle);
    pgferry.log().wait_for("session closed", PATIENCE).unwrap();
    assert_serves(&pgferry, "db");
}
