//! The way out: SIGTERM and SIGINT while sessions run.

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
use std::time::Duration;

use pgferry_simulators::Role;
use rustix::process::Signal;
use support::PATIENCE;
use support::client::{ME, Wire};
use support::pgferry::Pgferry;
use support::target::Target;
use support::world::{Way, World};
use tokio::time::Instant;

const AT_ONCE: Duration = Duration::from_secs(10);

/// A target on TCP and on a unix socket, with this time to drain.
fn start(world: &World, drain: &str) -> (Pgferry, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut target = Target::new("db", world, Way::SshLinked, Role::Scram);
    target.listen = format!("[\"127.0.0.1:0\", {{ unix = {:?} }}]", directory.path());
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let config = format!("{admin}[limits]\ndrain = \"{drain}\"\n{target}");
    (Pgferry::start(&config), directory)
}

/// Asserts that it ends with `status`, and that neither socket file nor session is left.
fn assert_ended(mut pgferry: Pgferry, status: i32, world: &World, directory: &tempfile::TempDir) {
    assert_eq!(pgferry.process().wait(PATIENCE).unwrap(), Some(status));
    let left = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "files are left in the socket directory");
    let gone = "do $$ begin while exists (select from pg_stat_activity where usename = \
                'app_scram') loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); \
                end loop; end $$";
    world.postgres.query(&format!("set statement_timeout = '30s'; {gone}")).unwrap();
}

#[test]
fn sigterm_lets_a_transaction_finish_ends_idle_sessions_and_refuses_new_ones() {
    let world = World::start();
    let (mut pgferry, directory) = start(&world, "60s");
    let port = pgferry.port("db");
    let mut idle = Wire::open(port).unwrap();
    let mut busy = Wire::open(port).unwrap();
    busy.query("create table drained (n int)").unwrap();
    busy.query("begin").unwrap();
    pgferry.process().signal(Signal::TERM).unwrap();
    let fault = idle.fault();
    fault.assert("db", "57P01", &["shutting down"], "Connect again");
    idle.assert_closed();
    let fault = Wire::refused(port);
    fault.assert("db", "57P03", &["pgferry", "shutting down"], "Connect again");
    busy.query("insert into drained values (1)").unwrap();
    busy.ask("commit");
    busy.ready().unwrap();
    busy.fault().assert("db", "57P01", &["shutting down"], "Connect again");
    busy.assert_closed();
    assert_ended(pgferry, 143, &world, &directory);
    assert_eq!(world.postgres.query("select n from drained").unwrap(), "1");
}

#[test]
fn a_session_that_does_not_finish_is_closed_hard_at_the_limit() {
    let world = World::start();
    let (mut pgferry, directory) = start(&world, "1s");
    let mut busy = Wire::open(pgferry.port("db")).unwrap();
    busy.ask("select pg_sleep(60)");
    let mut idle_in_transaction = Wire::open(pgferry.port("db")).unwrap();
    idle_in_transaction.query("begin").unwrap();
    let began = Instant::now();
    pgferry.process().signal(Signal::TERM).unwrap();
    for client in [&mut busy, &mut idle_in_transaction] {
        client.fault().assert("db", "57P01", &["shutting down"], "Connect again");
        client.assert_closed();
    }
    assert!(began.elapsed() >= Duration::from_secs(1), "not before its limit");
    // PostgreSQL looks for its client again only after the sleep.
    let sleeping = "select pg_terminate_backend(pid) from pg_stat_activity where usename = \
                    'app_scram' and query like '%sleep(60)%'";
    world.postgres.query(sleeping).unwrap();
    assert_ended(pgferry, 143, &world, &directory);
    assert!(began.elapsed() < AT_ONCE, "and not long after it");
}

#[test]
fn a_second_signal_ends_everything_at_once() {
    let world = World::start();
    let (mut pgferry, directory) = start(&world, "600s");
    let mut busy = Wire::open(pgferry.port("db")).unwrap();
    busy.query("begin").unwrap();
    let began = Instant::now();
    pgferry.process().signal(Signal::INT).unwrap();
    pgferry.log().wait_for("a second signal ends them", PATIENCE).unwrap();
    pgferry.process().signal(Signal::INT).unwrap();
    busy.fault().assert("db", "57P01", &["shutting down"], "Connect again");
    assert_ended(pgferry, 130, &world, &directory);
    assert!(began.elapsed() < AT_ONCE);
}

#[test]
fn a_connection_that_is_still_being_opened_does_not_hold_up_the_end() {
    let world = World::start();
    let (mut pgferry, directory) = start(&world, "1s");
    world.sshd.freeze().unwrap();
    let mut opening = Wire::start(pgferry.port("db"), &ME);
    let address = pgferry.address("db");
    let open = format!("pgferry_client_connections{{target=\"db\",listener=\"{address}\"}}");
    pgferry.await_metric(&open, 1.0);
    pgferry.process().signal(Signal::TERM).unwrap();
    opening.fault().assert("db", "57P03", &["pgferry", "shutting down"], "Connect again");
    opening.assert_closed();
    assert_ended(pgferry, 143, &world, &directory);
}

#[test]
fn without_sessions_it_ends_at_once() {
    let world = World::start();
    let (mut pgferry, directory) = start(&world, "600s");
    let began = Instant::now();
    pgferry.process().signal(Signal::TERM).unwrap();
    assert_ended(pgferry, 143, &world, &directory);
    assert!(began.elapsed() < AT_ONCE);
}
