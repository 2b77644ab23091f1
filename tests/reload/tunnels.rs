//! Transports over a reload: kept with their tunnels, or replaced.

use std::fs;

use pgferry_simulators::{Key, Postgres, Role, Sshd};
use tokio::time::Instant;

use crate::support::PATIENCE;
use crate::support::client::Wire;
use crate::support::pgferry::Pgferry;
use crate::support::target::Target;
use crate::support::world::{Way, World};
use crate::{apply, start, target, user, world};

/// A database behind a bastion of its own, through an instance that targets may share.
fn behind(sshd: &Sshd, more: &str) -> String {
    format!(
        "[transports.bastion]\nkind = \"ssh\"\nhost = \"127.0.0.1\"\nport = {}\nuser = {:?}\n\
         key_file = {:?}\nknown_hosts_file = {:?}\n{more}\n",
        sshd.port(),
        sshd.user(),
        sshd.key_file(Key::Ed25519),
        sshd.known_hosts_file()
    )
}

fn shared(name: &'static str, world: &World) -> Target {
    let mut target = target(name, world);
    "\"bastion\"".clone_into(&mut target.transport);
    target
}

#[test]
fn an_unchanged_instance_keeps_its_one_connection() {
    let world = world();
    let sshd = Sshd::start();
    let bastion = behind(&sshd, "");
    let (mut db, new) = (shared("db", &world), shared("new", &world));
    let mut pgferry = Pgferry::start(&format!("{}{bastion}", crate::config(&[&db])));
    let port = pgferry.port("db");
    let mut old = Wire::open(port).unwrap();
    db.credential = world.credential(Role::Md5);
    let verdict = pgferry.reload(&format!("{}{bastion}", crate::config(&[&db, &new])));
    assert!(verdict.ends_with("added new; changed db; 0 unchanged"), "{verdict}");
    let up = "pgferry_tunnel_up{target=\"new\",transport=\"ssh\"}";
    assert_eq!(pgferry.metric(up), Some(1.0), "its tunnel stands already");
    assert_eq!(user(port), Role::Md5.name());
    assert_eq!(user(pgferry.port("new")), Role::Scram.name());
    old.query("select 1").unwrap();
    assert_eq!(sshd.connections(), 1, "{}", sshd.log().text());
}

#[test]
fn a_changed_instance_serves_its_old_sessions_and_closes_its_tunnel_after_the_last() {
    let world = world();
    let sshd = Sshd::start();
    let db = shared("db", &world);
    let whole = |more: &str| format!("{}{}", crate::config(&[&db]), behind(&sshd, more));
    let mut pgferry = Pgferry::start(&whole(""));
    let port = pgferry.port("db");
    let (mut old, key) = Wire::open_with_key(port);
    let verdict = pgferry.reload(&whole("idle_timeout = \"1h\""));
    assert!(verdict.ends_with("changed db; 0 unchanged"), "{verdict}");
    let up = "pgferry_tunnel_up{target=\"db\",transport=\"ssh\"}";
    assert_eq!(pgferry.metric(up), None, "the new tunnel is not needed yet");
    let mut new = Wire::open(port).unwrap();
    assert_eq!(sshd.logins(), 2);
    old.ask("do $$ begin raise notice 'running'; perform pg_sleep(3600); end $$");
    assert_eq!(old.next().unwrap().unwrap().tag, b'N');
    Wire::cancel(port, &key);
    assert_eq!(old.fault().code, "57014");
    old.ready().unwrap();
    assert_eq!(sshd.logins(), 2, "the cancel request went the way of its session");
    let mark = sshd.log().mark();
    drop(old);
    sshd.log().wait_for_after(mark, LEFT, PATIENCE).unwrap();
    assert_eq!(pgferry.metric(up), Some(1.0), "the end of the old tunnel is not the new one's");
    assert_eq!(new.query("select 1").unwrap(), ["1"]);
    pgferry.process().signal(rustix::process::Signal::TERM).unwrap();
    assert_eq!(pgferry.process().wait(PATIENCE).unwrap(), Some(143));
    let log = pgferry.log().text();
    assert!(!log.contains("a plugin was given up"), "{log}");
}

#[test]
fn twenty_reloads_leave_no_descriptor_behind() {
    let world = World::with(Postgres::start(), Sshd::start());
    let mut db = target("db", &world);
    db.transport = world.transport(Way::SshLoaded);
    let mut pgferry = start(&[&db]);
    let port = pgferry.port("db");
    let directory = format!("/proc/{}/fd", pgferry.process().id());
    let descriptors = || fs::read_dir(&directory).unwrap().count();
    assert_eq!(user(port), Role::Scram.name());
    let mut before = None;
    for round in 1..=20 {
        let changed = format!(", idle_timeout = \"{round}h\" }}");
        db.transport = world.transport(Way::SshLoaded).replace(" }", &changed);
        let mark = world.sshd.log().mark();
        apply(&mut pgferry, &[&db], "changed db; 0 unchanged");
        assert_eq!(user(port), Role::Scram.name());
        world.sshd.log().wait_for_after(mark, LEFT, PATIENCE).unwrap();
        before.get_or_insert_with(descriptors);
    }
    // The last of them are closed a moment after they are let go.
    let (limit, began) = (before.unwrap(), Instant::now());
    while descriptors() > limit {
        assert!(began.elapsed() < PATIENCE, "{} descriptors, not {limit}", descriptors());
    }
}

/// What the bastion logs when a tunnel is closed in order.
const LEFT: &str = "Received disconnect from ";
