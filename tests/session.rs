//! A session through every transport: the main job.

mod support;

use pgferry_simulators::Role;
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
