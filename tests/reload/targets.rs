//! Targets that come, go and move.

use std::net::TcpStream;

use pgferry_simulators::{Role, free_port};

use crate::support::client::Wire;
use crate::support::world::Way;
use crate::{apply, start, target, user, world};

#[test]
fn a_new_target_gets_a_listener_and_its_ready_line() {
    let world = world();
    let (old, new) = (target("old", &world), target("new", &world));
    let mut pgferry = start(&[&old]);
    let port = pgferry.port("old");
    apply(&mut pgferry, &[&old, &new], "added new; 1 unchanged");
    assert_eq!(pgferry.port("old"), port);
    assert_eq!(user(pgferry.port("new")), Role::Scram.name());
    let (status, body) = pgferry.admin("/readiness");
    assert_eq!(status, 200, "{body}");
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(health["targets"]["new"]["listener_bound"], true, "{body}");
}

#[test]
fn a_removed_target_stops_listening_and_its_sessions_go_on() {
    let world = world();
    let (kept, gone) = (target("kept", &world), target("gone", &world));
    let mut pgferry = start(&[&kept, &gone]);
    let port = pgferry.port("gone");
    let mut session = Wire::open(port).unwrap();
    apply(&mut pgferry, &[&kept], "removed gone; 1 unchanged");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "it is not listened on any more");
    assert_eq!(session.query("select 1").unwrap(), ["1"]);
    let (status, body) = pgferry.admin("/readiness");
    assert_eq!(status, 200, "{body}");
    assert!(!body.contains("gone"), "{body}");
    let tunnel = "pgferry_tunnel_up{target=\"gone\",transport=\"direct\"}";
    assert_eq!(pgferry.metric(tunnel), None, "nobody asks for that tunnel any more");
    apply(&mut pgferry, &[&kept, &gone], "added gone; 1 unchanged");
    assert_eq!(user(pgferry.port("gone")), Role::Scram.name());
}

#[test]
fn an_address_goes_to_another_target_with_those_who_wait_there() {
    let world = world();
    let mut one = target("one", &world);
    one.listen = format!("\"127.0.0.1:{}\"", free_port());
    let mut two = target("two", &world);
    two.listen.clone_from(&one.listen);
    two.credential = world.credential(Role::Md5);
    let mut pgferry = start(&[&one]);
    let port = pgferry.port("one");
    let mut old = Wire::open(port).unwrap();
    apply(&mut pgferry, &[&two], "added two; removed one; 0 unchanged");
    assert_eq!(user(port), Role::Md5.name());
    assert_eq!(old.query("select current_user").unwrap(), [Role::Scram.name()]);
}

#[test]
fn a_unix_socket_comes_stays_and_goes() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".s.PGSQL.5432");
    let mut db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let tcp = db.listen.clone();
    db.listen = format!("[{tcp}, {{ unix = {:?} }}]", directory.path());
    apply(&mut pgferry, &[&db], "changed db; 0 unchanged");
    let made = std::fs::metadata(&file).unwrap().modified().unwrap();
    db.credential = world.credential(Role::Md5);
    apply(&mut pgferry, &[&db], "changed db; 0 unchanged");
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), made, "it is the same file");
    db.listen = tcp;
    apply(&mut pgferry, &[&db], "changed db; 0 unchanged");
    assert!(!file.exists());
}

#[test]
fn metrics_have_neither_duplicates_nor_gaps_after_reloads() {
    let world = world();
    let mut db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let port = pgferry.port("db");
    let mut old = Wire::open(port).unwrap();
    let (_, before) = pgferry.admin("/metrics");
    db.transport = world.transport(Way::SshLinked);
    apply(&mut pgferry, &[&db], "changed db; 0 unchanged");
    assert_eq!(user(port), Role::Scram.name());
    old.query("select 1").unwrap();
    let (_, after) = pgferry.admin("/metrics");
    let series = |text: &str| -> Vec<String> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    };
    let now = series(&after);
    let mut distinct = now.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), now.len(), "{after}");
    let up =
        |transport: &str| format!("pgferry_tunnel_up{{target=\"db\",transport=\"{transport}\"}}");
    assert!(!now.contains(&up("direct")) && now.contains(&up("ssh")), "{after}");
    let lost: Vec<_> = series(&before)
        .into_iter()
        .filter(|series| !now.contains(series) && *series != up("direct"))
        .collect();
    assert!(lost.is_empty(), "{lost:?} are gone from {after}");
    let open = format!("pgferry_client_connections{{target=\"db\",listener=\"127.0.0.1:{port}\"}}");
    pgferry.await_metric(&open, 1.0);
    assert_eq!(crate::reloads(&pgferry, "applied"), Some(1.0));
    assert_eq!(crate::reloads(&pgferry, "refused"), Some(0.0));
    assert!(pgferry.metric("pgferry_config_loaded_timestamp_seconds").unwrap() > 1e9);
}
