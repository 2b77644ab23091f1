//! What goes on over a reload.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pgferry_simulators::{Role, free_port};

use crate::support::PATIENCE;
use crate::support::client::Wire;
use crate::support::message::ssl_request;
use crate::{apply, start, target, user, world};

#[test]
fn a_transaction_and_a_copy_go_on_while_new_sessions_are_somebody_else() {
    let world = world();
    let mut db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let port = pgferry.port("db");
    let mut transaction = Wire::open(port).unwrap();
    transaction
        .query("begin; create temp table kept (n int); insert into kept values (1)")
        .unwrap();
    let mut copy = Wire::open(port).unwrap();
    copy.query("create temp table copied (n int)").unwrap();
    copy.ask("copy copied from stdin");
    assert_eq!(copy.next().unwrap().unwrap().tag, b'G');
    copy.send(b'd', b"1\n");

    db.credential = world.credential(Role::Md5);
    apply(&mut pgferry, &[&db], "changed db; 0 unchanged");

    assert_eq!(pgferry.port("db"), port);
    assert_eq!(user(port), Role::Md5.name());
    copy.send(b'd', b"2\n");
    copy.send(b'c', b"");
    copy.ready().unwrap();
    assert_eq!(copy.query("select sum(n) from copied").unwrap(), ["3"]);
    let kept = transaction.query("select n || current_user from kept").unwrap();
    assert_eq!(kept, [format!("1{}", Role::Scram.name())]);
    transaction.query("commit").unwrap();
}

#[test]
fn a_changed_endpoint_is_for_new_sessions_and_a_cancel_still_finds_the_old_one() {
    let world = world();
    let mut db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let port = pgferry.port("db");
    let (mut old, key) = Wire::open_with_key(port);
    let address = format!("127.0.0.1:{}", free_port());
    db.database =
        db.database.replace("address = \"127.0.0.1\"", &format!("address = \"{address}\""));
    apply(&mut pgferry, &[&db], "changed db; 0 unchanged");
    Wire::refused(port).assert("db", "08001", &["transport db (direct", "refused"], "");
    old.ask("do $$ begin raise notice 'running'; perform pg_sleep(3600); end $$");
    assert_eq!(old.next().unwrap().unwrap().tag, b'N');
    Wire::cancel(port, &key);
    assert_eq!(old.fault().code, "57014");
    old.ready().unwrap();
    assert_eq!(old.query("select 1").unwrap(), ["1"]);
    let forwarded = "pgferry_cancel_requests_total{target=\"db\",result=\"forwarded\"}";
    pgferry.await_metric(forwarded, 1.0);
}

#[test]
fn the_limit_of_sessions_counts_those_of_before() {
    let world = world();
    let db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let port = pgferry.port("db");
    let _first = Wire::open(port).unwrap();
    let limited = format!("{}[limits]\nconnections = 1\n", crate::config(&[&db]));
    let verdict = pgferry.reload(&limited);
    assert!(verdict.ends_with(" reloaded: limits changed; 1 unchanged"), "{verdict}");
    assert_eq!(Wire::refused(port).code, "53300");
}

#[test]
fn none_of_a_thousand_connections_is_refused_during_reloads() {
    const CONNECTIONS: usize = 1000;
    let world = world();
    let mut db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let address = pgferry.address("db").to_owned();
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..CONNECTIONS {
                // Whoever answers has accepted it.
                let mut stream = TcpStream::connect(&address).expect("no connection is refused");
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(&ssl_request()).unwrap();
                let mut answer = [0];
                stream.read_exact(&mut answer).expect("and none is reset");
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut reloads = 0;
        while served.load(Ordering::Relaxed) < CONNECTIONS && !thread::panicking() {
            let role = if reloads % 2 == 0 { Role::Md5 } else { Role::Scram };
            db.credential = world.credential(role);
            apply(&mut pgferry, &[&db], "changed db; 0 unchanged");
            reloads += 1;
        }
        assert!(reloads > 1, "{reloads} reloads are no test");
    });
    let counted =
        format!("pgferry_client_connections_total{{target=\"db\",listener=\"{address}\"}}");
    assert_eq!(pgferry.metric(&counted), Some(1000.0));
}
