//! A session through every transport: the main job.

mod support;

use pgferry_simulators::Role;
use support::PATIENCE;
use support::client::Wire;
use support::pgferry::Pgferry;
use support::world::{Way, World};

#[test]
fn psql_reaches_a_tls_database_through_every_transport() {
    let world = World::start();
    let config: String = Way::ALL
        .iter()
        .map(|way| world.target(&format!("{way:?}").to_lowercase(), *way, Role::Scram))
        .collect();
    let pgferry = Pgferry::start(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n{config}"));
    for way in Way::ALL {
        let target = format!("{way:?}").to_lowercase();
        let sql = "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()";
        let output = world.psql(&pgferry, &target).args(["-c", sql]).output().unwrap();
        let rows = String::from_utf8_lossy(&output.stdout);
        let log = pgferry.log().text();
        assert_eq!(rows, "app_scram|t\n", "{way:?}: {output:?}\n{log}");
    }
}

#[test]
fn no_session_of_the_database_outlives_its_application() {
    let world = World::start();
    let pgferry = Pgferry::start(&world.target("db", Way::Direct, Role::Scram));
    let log = world.postgres.log();
    let leave: [fn(&mut Wire); 3] =
        [|wire| wire.send(b'X', b""), |wire| wire.shutdown(), |wire| wire.ask("select 1")];
    for leave in leave {
        let mut wire = Wire::open(pgferry.port("db")).expect("a session");
        let mark = log.mark();
        leave(&mut wire);
        drop(wire);
        // The server writes this after it has struck the session off its list.
        log.wait_for_after(mark, "app_scram@app LOG:  disconnection", PATIENCE).expect("its end");
        let sessions = "select count(*) from pg_stat_activity where usename = 'app_scram'";
        assert_eq!(world.postgres.query(sessions).expect("a number"), "0");
    }
}
