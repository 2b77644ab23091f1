//! The path or the database is lost while a session runs.

use std::process::Command;
use std::time::Duration;

use pgferry_simulators::{Direction, Postgres, Role, Shutdown, Sshd};

use crate::support::PATIENCE;
use crate::support::client::{Fault, Message, Wire};
use crate::support::target::Target;
use crate::support::world::{Way, World};
use crate::tunnels::relayed;
use crate::{assert_serves, at_once, start, within};

/// Waits until the database runs a query with this text.
fn wait_until_running(postgres: &Postgres, text: &str) {
    let sql = format!(
        "do $$ begin while not exists (select from pg_stat_activity where state = 'active' and \
         pid <> pg_backend_pid() and query like '%{text}%') loop perform pg_sleep(0.01); \
         perform pg_stat_clear_snapshot(); end loop; end $$"
    );
    postgres.query(&sql).unwrap();
}

#[test]
fn a_tunnel_unplugged_during_a_query_is_reported_with_its_reason_and_made_anew() {
    let mut world = World::start();
    let target = Target::new("db", &world, Way::SshLinked, Role::Scram);
    let pgferry = start("", &[&target]);
    let mut client = Wire::open(pgferry.port("db")).unwrap();
    client.ask("select pg_sleep(60)");
    wait_until_running(&world.postgres, "pg_sleep(60)");
    world.sshd.stop();
    let fault = at_once(|| client.fault());
    let words = ["connection to bastion", &world.sshd.address().to_string(), "lost"];
    fault.assert("db", "08006", &words, "Connect again");
    client.assert_closed();
    let series = "pgferry_client_connections_closed_total{target=\"db\",reason=\"transport_lost\"}";
    pgferry.await_metric(series, 1.0);
    world.sshd.resume().unwrap();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_path_lost_between_queries_is_reported_before_the_next_one() {
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("", &[&target]);
    let mut client = Wire::open(pgferry.port("db")).unwrap();
    client.query("create temp table t (n int)").unwrap();
    relay.reset();
    let fault = at_once(|| client.fault());
    fault.assert("db", "08006", &["session", "connection to the database"], "Connect again");
    client.assert_closed();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_path_cut_within_a_row_ends_the_connection_without_a_foreign_byte() {
    const LENGTH: usize = 4_000_000;
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("", &[&target]);
    let mut client = Wire::open(pgferry.port("db")).unwrap();
    relay.cut_after(LENGTH as u64 / 4, Direction::TowardsFrontend);
    client.ask(&format!("select repeat('x', {LENGTH})"));
    let bytes = client.rest().unwrap();
    let (whole, part) = frames(&bytes);
    assert_eq!(whole.iter().map(|message| message.tag).collect::<Vec<_>>(), [b'T']);
    let body = part.get(5 + 2 + 4..).expect("the cut is within the row");
    assert_eq!(part[0], b'D');
    assert!(body.len() < LENGTH && body.iter().all(|byte| *byte == b'x'));
    pgferry.log().wait_for("session ended", PATIENCE).unwrap();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_path_cut_within_a_copy_out_is_either_reported_or_ends_within_a_message() {
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("", &[&target]);
    for bytes in [10_000, 100_000, 1_000_000] {
        let mut client = Wire::open(pgferry.port("db")).unwrap();
        relay.cut_after(bytes, Direction::TowardsFrontend);
        client.ask("copy (select repeat('y', 100) from generate_series(1, 100000)) to stdout");
        let received = client.rest().unwrap();
        let (whole, part) = frames(&received);
        let (last, rows) = whole.split_last().expect("more than nothing");
        let rows = rows.iter().filter(|message| message.tag == b'd');
        assert!(rows.clone().all(|row| row.body == [&[b'y'; 100][..], b"\n"].concat()));
        match last.tag {
            b'E' => {
                assert_eq!(part, b"");
                let fault = Fault::parse(&last.body);
                fault.assert("db", "08006", &["session", "connection"], "Connect again");
            }
            _ => assert_ne!(part, b"", "cut between two messages, and not reported"),
        }
        assert_serves(&pgferry, "db");
    }
}

#[test]
fn a_path_lost_during_a_copy_in_is_reported() {
    let (relay, target) = relayed(Role::Scram);
    let pgferry = start("", &[&target]);
    let mut client = Wire::open(pgferry.port("db")).unwrap();
    client.query("create temp table t (line text)").unwrap();
    client.ask("copy t from stdin");
    assert_eq!(client.next().unwrap().unwrap().tag, b'G');
    client.send(b'd', b"a line\n");
    relay.reset();
    let fault = at_once(|| client.fault());
    fault.assert("db", "08006", &["session", "connection"], "took effect is not known");
    client.assert_closed();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_restart_of_the_database_is_told_in_its_own_words() {
    let mut world = World::start();
    let target = Target::new("db", &world, Way::Direct, Role::Scram);
    let pgferry = start("", &[&target]);
    let mut client = Wire::open(pgferry.port("db")).unwrap();
    world.postgres.stop(Shutdown::Fast).unwrap();
    let fault = client.fault();
    assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "57P01"));
    assert_eq!(fault.message, "terminating connection due to administrator command");
    client.assert_closed();
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    fault.assert("db", "08001", &["transport db (direct", "refused"], "database runs");
    world.postgres.resume().unwrap();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_killed_backend_is_a_lost_connection_and_the_database_is_used_again_after_its_recovery() {
    let world = World::start();
    let target = Target::new("db", &world, Way::SshLinked, Role::Scram);
    let pgferry = start("", &[&target]);
    let mut victim = Wire::open(pgferry.port("db")).unwrap();
    let mut neighbour = Wire::open(pgferry.port("db")).unwrap();
    let backend = victim.query("select pg_backend_pid()").unwrap();
    let mark = world.postgres.log().mark();
    assert!(Command::new("kill").arg("-KILL").args(backend).status().unwrap().success());
    for client in [&mut victim, &mut neighbour] {
        let fault = at_once(|| client.fault());
        fault.assert("db", "08006", &["connection"], "Connect again");
        client.assert_closed();
    }
    let ready = "database system is ready to accept connections";
    world.postgres.log().wait_for_after(mark, ready, PATIENCE).unwrap();
    assert_serves(&pgferry, "db");
}

#[test]
fn a_frozen_database_costs_new_clients_their_limit_and_running_sessions_nothing() {
    let world = World::with(Postgres::start(), Sshd::start());
    let target = Target::new("db", &world, Way::SshLinked, Role::Scram);
    let pgferry = start("tls = \"1s\"", &[&target]);
    let mut running = Wire::open(pgferry.port("db")).unwrap();
    world.postgres.freeze().unwrap();
    running.ask("select 42");
    let fault = within(Duration::from_secs(1), || Wire::refused(pgferry.port("db")));
    fault.assert("db", "08001", &["tls", "within 1s"], "The limit is tls in [limits]");
    world.postgres.thaw().unwrap();
    assert_eq!(running.ready().unwrap()[1].body[6..], *b"42");
    assert_serves(&pgferry, "db");
}

/// Whole messages, and what is left.
fn frames(mut bytes: &[u8]) -> (Vec<Message>, &[u8]) {
    let mut messages = Vec::new();
    while let [tag, a, b, c, d, rest @ ..] = bytes {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4;
        let Some((body, after)) = rest.split_at_checked(length) else { break };
        messages.push(Message { tag: *tag, body: body.to_vec() });
        bytes = after;
    }
    (messages, bytes)
}
