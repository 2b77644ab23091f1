//! The path breaks or falls silent while a session is being opened.

use std::time::Duration;

use pgferry_simulators::{Direction, FaultRelay, NewConnections, Role};

use crate::support::PATIENCE;
use crate::support::client::{ME, Wire};
use crate::support::target::Target;
use crate::support::world::Way;
use crate::{WORLD, assert_serves, at_once, start, within};

/// A relay in front of the shared database, and a target that leads through it.
pub(crate) fn relayed(role: Role) -> (FaultRelay, Target) {
    let address = WORLD.postgres.address().expect("a TCP listener");
    let relay = FaultRelay::start((address, WORLD.postgres.port()).into());
    let mut target = Target::new("db", &WORLD, Way::Direct, role);
    let ours = format!("port = {}", WORLD.postgres.port());
    target.database = target.database.replace(&ours, &format!("port = {}", relay.address().port()));
    (relay, target)
}

/// Cuts the next connection. An earlier one's goodbye must not count for it.
pub(crate) fn cut(relay: &FaultRelay, bytes: u64, direction: Direction) {
    assert!(relay.wait_until(PATIENCE, |counters| counters.open == 0), "a connection is left");
    relay.cut_after(bytes, direction);
}

/// Bytes that the database sends until a session is ready.
fn login_bytes(relay: &FaultRelay, port: u16) -> u64 {
    let before = relay.counters().towards_frontend;
    let wire = Wire::open(port);
    let bytes = relay.counters().towards_frontend - before;
    drop(wire);
    bytes
}

#[test]
fn a_path_cut_at_any_place_of_tls_and_login_is_reported_and_the_next_one_works() {
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("", &[&target]);
    let port = pgferry.port("db");
    let whole = login_bytes(&relay, port);
    let mut hops = Vec::new();
    for sixteenth in 0..16 {
        cut(&relay, 1 + whole * sixteenth / 16, Direction::TowardsFrontend);
        let fault = at_once(|| Wire::refused(port));
        fault.assert("db", "08001", &["connection"], "database");
        hops.push(fault.message.split(": ").nth(1).unwrap_or_default().to_owned());
        assert_serves(&pgferry, "db");
    }
    hops.dedup();
    assert_eq!(hops, ["tls", "server login"], "first the one, then the other");
}

#[test]
fn a_request_that_does_not_reach_the_database_whole_is_reported() {
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("", &[&target]);
    // Within SSLRequest, within the hello, within SCRAM.
    for bytes in [4, 100, 700] {
        cut(&relay, bytes, Direction::TowardsBackend);
        let fault = at_once(|| Wire::refused(pgferry.port("db")));
        fault.assert("db", "08001", &["connection"], "database");
        assert_serves(&pgferry, "db");
    }
}

#[test]
fn a_reset_during_tls_is_reported_at_once() {
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("", &[&target]);
    relay.stall(Direction::TowardsFrontend);
    let mut client = Wire::start(pgferry.port("db"), &ME);
    relay.wait_for_bytes(Direction::TowardsBackend, 8, PATIENCE).unwrap();
    relay.reset();
    let fault = at_once(|| client.fault());
    fault.assert("db", "08001", &["tls", "connection"], "database");
    client.assert_closed();
    relay.resume(Direction::TowardsFrontend);
    assert_serves(&pgferry, "db");
}

#[test]
fn a_database_that_is_silent_during_tls_is_given_up_at_the_limit() {
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("tls = \"1s\"", &[&target]);
    relay.stall(Direction::TowardsFrontend);
    let fault = within(Duration::from_secs(1), || Wire::refused(pgferry.port("db")));
    fault.assert("db", "08001", &["tls", "within 1s"], "The limit is tls in [limits]");
    relay.resume(Direction::TowardsFrontend);
    assert_serves(&pgferry, "db");
}

#[test]
fn a_database_that_is_not_ready_after_the_login_is_given_up_at_the_limit() {
    let target = Target::new("db", &WORLD, Way::SshLinked, Role::Scram);
    let pgferry = start("server_login = \"1s\"", &[&target]);
    let parameters = [ME[0], ME[1], ("options", "-c post_auth_delay=60")];
    let fault = within(Duration::from_secs(1), || {
        Wire::open_with(pgferry.port("db"), &parameters).err().expect("no session")
    });
    let words = ["server login", "not ready within 1s"];
    fault.assert("db", "08001", &words, "The limit is server_login in [limits]");
    assert_serves(&pgferry, "db");
}

#[test]
fn all_steps_together_end_with_the_budget_whatever_their_own_limits() {
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("startup = \"1s\"", &[&target]);
    relay.stall(Direction::TowardsFrontend);
    let fault = within(Duration::from_secs(1), || Wire::refused(pgferry.port("db")));
    fault.assert(
        "db",
        "08001",
        &["tls", "no session within 1s"],
        "The limit is startup in [limits]",
    );
    relay.resume(Direction::TowardsFrontend);
    assert_serves(&pgferry, "db");
}

#[test]
fn a_database_whose_port_is_closed_is_reported_at_once() {
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("", &[&target]);
    relay.refuse_new();
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    let address = relay.address().to_string();
    fault.assert("db", "08001", &["transport db (direct", &address, "refused"], "database runs");
    // The reset may come before or after the connection counts as made.
    relay.new_connections(NewConnections::Reset);
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    fault.assert("db", "08001", &["onnection"], "database");
    relay.accept_new();
    assert_serves(&pgferry, "db");
}
