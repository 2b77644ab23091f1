//! When the listener is there, and for whom.

use std::net::TcpStream;
use std::process::Stdio;

use pgferry_simulators::Role;

use crate::running::{Running, text};
use crate::stage::Stage;
use crate::support::client::Wire;
use crate::support::pgferry::{ADMIN, Pgferry, binary, write_config};
use crate::support::target::Target;
use crate::support::tool::{limited, succeed};
use crate::support::world::Way;

#[test]
fn the_end_of_the_child_is_the_end_of_the_listener_and_of_every_session() {
    let stage = Stage::get();
    let mut child = stage.waiting("tunnel");
    let environment = child.environment();
    let left_behind = || {
        let mut psql = stage.world.postgres.client("psql");
        psql.args(["-X", "-A", "-t"]);
        psql.envs(environment.iter().filter(|(name, _)| name.starts_with("PG")));
        let mut psql = limited(&psql);
        let mut psql = Running::start(psql.stderr(Stdio::piped()));
        psql.write("set application_name = 'left_behind';\nselect 'up';\n");
        psql.see("up");
        psql
    };
    let (mut busy, idle) = (left_behind(), left_behind());
    busy.write("begin;\nselect 'busy';\n");
    busy.see("busy");
    assert_eq!(child.end().0, Some(1));
    let port = environment["PGPORT"].parse().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the listener is still there");
    for mut session in [busy, idle] {
        // psql looks at its connection when it has something to do.
        session.write("select 1;\n");
        drop(session.stdin.take());
        let output = session.process.wait_with_output().unwrap();
        assert!(text(&output.stderr).contains("pgferry is shutting down"), "{output:?}");
    }
    let gone = "do $$ begin while exists (select from pg_stat_activity where application_name = \
                'left_behind') loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); \
                end loop; end $$";
    stage.world.postgres.query(&format!("set statement_timeout = '30s'; {gone}")).unwrap();
}

#[test]
fn a_run_with_the_same_configuration_is_not_disturbed() {
    let stage = Stage::get();
    let mut target = Target::new("dev", &stage.world, Way::Direct, Role::Scram);
    target.database = stage.world.database_with(", name = \"app\"");
    let running = Pgferry::start(&format!("{ADMIN}{target}"));
    let mut session = Wire::open(running.port("dev")).unwrap();
    let admin = running.log().lines();
    let admin = admin.iter().find_map(|line| line.split_once("http://")).unwrap().1;
    // The same file, as if its ports had been fixed from the beginning.
    target.listen = format!("{:?}", running.address("dev"));
    let directory = tempfile::tempdir().unwrap();
    let config = format!("[admin]\nlisten = {:?}\n{target}", admin.trim());
    let config = write_config(directory.path(), &config);
    let mut exec = binary();
    exec.args(["exec", "--config"]).arg(config).args(["--", "sh", "-c", "echo $PGPORT; exec true"]);
    let port = succeed(&exec);
    assert_ne!(port.trim(), running.port("dev").to_string());
    assert_eq!(session.query("select 'undisturbed'").unwrap(), ["undisturbed"]);
    assert!(Wire::open(running.port("dev")).is_ok());
    assert_eq!(running.admin("/liveness").0, 200);
}
