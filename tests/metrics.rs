//! The figures of `/metrics` are those of the traffic, and the probes tell the state.

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use pgferry_simulators::Role;
use support::message::{bind, copy_data, copy_done, execute, parse, query, sync, terminate};
use support::pgferry::{ADMIN, Pgferry};
use support::shared::Shared;
use support::wire::Wire;
use support::world::{Way, World};

static WORLD: Shared<World> = Shared::new();

fn world() -> Arc<World> {
    WORLD.get(World::start)
}

/// A pgferry of the test's own, so that nobody else is counted.
fn start(world: &World, way: Way) -> Pgferry {
    Pgferry::start(&format!("{ADMIN}{}", world.target("db", way, Role::Scram)))
}

fn session(pgferry: &Pgferry) -> Wire {
    Wire::session(pgferry.address("db"), "me")
}

fn leave(mut wire: Wire) {
    wire.send(&terminate());
    assert!(wire.rest().is_empty());
}

/// How many operations were counted.
fn operations(pgferry: &Pgferry, operation: &str, outcome: &str) -> Option<f64> {
    let labels = format!(
        "db_system_name=\"postgresql\",target=\"db\",db_operation_name=\"{operation}\",\
         outcome=\"{outcome}\""
    );
    let count = format!("db_client_operation_duration_seconds_count{{{labels}}}");
    pgferry.metric(&count)
}

#[test]
fn every_operation_is_counted_once_under_its_own_name_and_outcome() {
    let world = world();
    let pgferry = start(&world, Way::SshLoaded);
    let mut wire = session(&pgferry);
    wire.query("create temp table t (a int)");
    for _ in 0..7 {
        wire.query("select 1");
    }
    wire.query("insert into t values (1), (2); update t set a = 3; delete from t");
    wire.query("begin; select 1/0; select 'never'");
    wire.query("rollback");
    wire.query("");
    wire.send(&parse("s", "select $1::int"));
    for number in 0..50 {
        let value = number.to_string();
        wire.send(&[bind("", "s", &[Some(&value)]), execute("", 0), sync()].concat());
    }
    (0..50).for_each(|_| drop(wire.until(b'Z')));
    wire.send(&[query("copy t from stdin"), copy_data("1\n2\n"), copy_done()].concat());
    wire.until(b'Z');
    wire.query("copy t to stdout");
    wire.query("set statement_timeout = 10; select pg_sleep(3600)");
    wire.send(&[parse("", "insert into no_such_table values (1)"), sync()].concat());
    wire.until(b'Z');
    leave(wire);
    for (operation, outcome, expected) in [
        ("SELECT", "ok", 57.0),
        ("INSERT", "ok", 1.0),
        ("UPDATE", "ok", 1.0),
        ("DELETE", "ok", 1.0),
        ("BEGIN", "ok", 1.0),
        ("ROLLBACK", "ok", 1.0),
        ("COPY", "ok", 2.0),
        ("SET", "ok", 1.0),
        ("CREATE", "ok", 1.0),
        ("INSERT", "error", 1.0),
    ] {
        assert_eq!(
            operations(&pgferry, operation, outcome),
            Some(expected),
            "{operation} {outcome}"
        );
    }
    let (_, text) = pgferry.admin("/metrics");
    assert_eq!(sum(&text, "db_client_operation_duration_seconds_count", "error"), 2, "{text}");
    assert_eq!(sum(&text, "db_client_operation_duration_seconds_count", "cancelled"), 1);
    // Those above, and the empty query.
    assert_eq!(sum(&text, "db_client_operation_duration_seconds_count", "ok"), 67);
}

/// The sum over the series of `name` with an outcome.
fn sum(text: &str, name: &str, outcome: &str) -> u64 {
    let outcome = format!("outcome=\"{outcome}\"");
    text.lines()
        .filter(|line| line.starts_with(name) && line.contains(&outcome))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[test]
fn durations_are_those_of_the_database() {
    let world = world();
    let pgferry = start(&world, Way::Direct);
    let mut wire = session(&pgferry);
    wire.query("select pg_sleep(0.3)");
    leave(wire);
    let labels = "db_system_name=\"postgresql\",target=\"db\",db_operation_name=\"SELECT\",\
                  outcome=\"ok\"";
    let sum = format!("db_client_operation_duration_seconds_sum{{{labels}}}");
    let seconds = pgferry.metric(&sum).unwrap();
    assert!((0.3..10.0).contains(&seconds), "{seconds}");
    let bucket = |bound: &str| {
        let name = "db_client_operation_duration_seconds_bucket";
        pgferry.metric(&format!("{name}{{{labels},le=\"{bound}\"}}"))
    };
    assert_eq!((bucket("0.25"), bucket("10")), (Some(0.0), Some(1.0)));
}

#[test]
fn errors_are_counted_by_sqlstate_severity_and_origin() {
    let world = world();
    let pgferry = start(&world, Way::SshLoaded);
    let mut wire = session(&pgferry);
    for sql in ["select 1/0", "select 1/0", "select no_such_column", "no sql"] {
        wire.query(sql);
    }
    wire.send(&query("select pg_terminate_backend(pg_backend_pid())"));
    wire.until(b'E');
    wire.rest();
    let mut garbage = Wire::connect(pgferry.address("db"));
    garbage.send(b"GET / HTTP/1.0\r\n\r\n");
    garbage.until(b'E');
    garbage.rest();
    for (severity, code, origin, expected) in [
        ("ERROR", "22012", "server", 2.0),
        ("ERROR", "42703", "server", 1.0),
        ("ERROR", "42601", "server", 1.0),
        ("FATAL", "57P01", "server", 1.0),
        ("FATAL", "08P01", "proxy", 1.0),
    ] {
        let series = format!(
            "pgferry_errors_total{{target=\"db\",severity=\"{severity}\",\
             db_response_status_code=\"{code}\",origin=\"{origin}\"}}"
        );
        assert_eq!(pgferry.metric(&series), Some(expected), "{series}");
    }
}

#[test]
fn bytes_and_connections_are_counted_on_both_sides() {
    let world = world();
    let pgferry = start(&world, Way::SshLoaded);
    let listener = format!("target=\"db\",listener=\"{}\"", pgferry.address("db"));
    let open = format!("pgferry_client_connections{{{listener}}}");
    let mut wire = session(&pgferry);
    assert_eq!(pgferry.metric(&open), Some(1.0));
    wire.query("select repeat('x', 1000000)");
    wire.query(&format!("select length('{}')", "y".repeat(500_000)));
    leave(wire);
    let bytes = |side: &str, direction: &str| {
        let labels = format!("target=\"db\",side=\"{side}\",direction=\"{direction}\"");
        pgferry.metric(&format!("pgferry_io_bytes_total{{{labels}}}")).unwrap()
    };
    for (side, direction, at_least) in [
        ("client", "tx", 1_000_000.0),
        ("server", "rx", 1_000_000.0),
        ("client", "rx", 500_000.0),
        ("server", "tx", 500_000.0),
    ] {
        let seen = bytes(side, direction);
        assert!((at_least..at_least * 1.01).contains(&seen), "{side} {direction}: {seen}");
    }
    let opened = format!("pgferry_client_connections_total{{{listener}}}");
    assert_eq!(pgferry.metric(&opened), Some(1.0));
}

#[test]
fn prometheus_finds_no_fault_with_the_exposition() {
    let world = world();
    let pgferry = start(&world, Way::SshLoaded);
    let mut wire = session(&pgferry);
    wire.query("select 1; select 1/0");
    leave(wire);
    let (status, text) = pgferry.admin("/metrics");
    assert_eq!(status, 200);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool of Debian's package prometheus");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{text}");
}

#[test]
fn probes_tell_that_it_has_started_lives_and_is_ready() {
    let world = world();
    let pgferry = start(&world, Way::Direct);
    for (path, word) in [("/startup", "started"), ("/liveness", "alive"), ("/readiness", "ready")] {
        let (status, body) = pgferry.admin(path);
        assert_eq!(status, 200, "{path}: {body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], word, "{path}: {body}");
    }
    assert_eq!(pgferry.admin("/nothing").0, 404);
}
