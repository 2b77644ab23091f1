//! A database that has moved: RDS is asked anew, and what it tells is where the next session goes.
//!
//! The program's time of day is moved, because RDS is asked at most twice a minute.

#![cfg(target_os = "linux")]
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use pgferry_simulators::{Aws, Cluster, Postgres, Role, Shutdown};
use support::client::Wire;
use support::pgferry::Pgferry;
use tempfile::TempDir;

const READER: &str = "demo.cluster-ro-abc123.us-east-1.rds.amazonaws.com";
const ASKED: &str = "rds:DescribeDBClusters";

/// The cluster's server before it moves, and after.
struct Stage {
    aws: Aws,
    before: Postgres,
    after: Postgres,
    directory: TempDir,
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let server = || Postgres::builder().instance(READER).start();
        let (aws, before, after) = (Aws::start(), server(), server());
        let stage = Self { aws, before, after, directory };
        stage.aws.add_cluster(Cluster::new("demo").reader().port(stage.before.port()));
        let role = format!("ALTER ROLE app_scram PASSWORD '{}'", stage.password());
        stage.after.query(&role).expect("one password for both");
        let both = [&stage.before, &stage.after].map(|it| fs::read(it.ca_file()).expect("a CA"));
        fs::write(stage.path("ca.pem"), both.concat()).expect("the authorities of both");
        fs::write(stage.path("password"), stage.password()).expect("a password");
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(stage.path("password"), private).expect("for nobody else");
        stage.build_clock();
        stage
    }

    fn password(&self) -> &str {
        self.before.password(Role::Scram)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn build_clock(&self) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/clock.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(self.path("clock.so")).arg(source);
        assert!(cc.status().expect("cc starts").success(), "the clock does not build");
    }

    fn start(&self, role: &str) -> Pgferry {
        let config = format!(
            "[targets.db]\nlisten = \"127.0.0.1:0\"\n\
             database = {{ cluster = \"demo\", role = \"{role}\", name = \"app\", \
             address = \"127.0.0.1\", ca_file = {:?} }}\n\
             credential = {{ kind = \"password\", user = \"app_scram\", password_file = {:?} }}\n",
            self.path("ca.pem"),
            self.path("password")
        );
        Pgferry::start_with(&config, |command| {
            command.envs(self.aws.envs()).env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
            command.env("LD_PRELOAD", self.path("clock.so"));
            command.env("TEST_CLOCK", self.path("ahead"));
        })
    }

    /// RDS tells the other server from now on.
    fn move_cluster(&self) {
        self.aws.replace_cluster(Cluster::new("demo").reader().port(self.after.port()));
    }

    fn half_a_minute_later(&self) {
        fs::write(self.path("ahead"), "31").expect("the clock is set");
    }

    fn asked(&self) -> usize {
        self.aws.count(ASKED)
    }
}

fn port_of(wire: &mut Wire) -> u16 {
    wire.query("select inet_server_port()").expect("a row").remove(0).parse().expect("a port")
}

fn new_port(pgferry: &Pgferry) -> u16 {
    port_of(&mut Wire::open(pgferry.port("db")).expect("a session"))
}

fn change_nothing(wire: &mut Wire) {
    wire.query("set default_transaction_read_only = on").expect("a setting");
    assert_eq!(wire.query("create table t ()").expect_err("a refusal").code, "25006");
}

#[test]
fn a_writer_that_takes_no_changes_is_looked_up_anew() {
    let stage = Stage::new();
    let pgferry = stage.start("writer");
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    assert_eq!(port_of(&mut wire), stage.before.port());
    stage.move_cluster();
    assert_eq!((new_port(&pgferry), stage.asked()), (stage.before.port(), 1), "nothing told it");
    change_nothing(&mut wire);
    assert_eq!((new_port(&pgferry), stage.asked()), (stage.before.port(), 1), "asked just now");
    stage.half_a_minute_later();
    assert_eq!((new_port(&pgferry), stage.asked()), (stage.after.port(), 2));
    assert_eq!((new_port(&pgferry), stage.asked()), (stage.after.port(), 2), "it is known now");
}

#[test]
fn a_lost_session_has_the_cluster_looked_up_anew() {
    let mut stage = Stage::new();
    let pgferry = stage.start("writer");
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    assert_eq!((port_of(&mut wire), stage.asked()), (stage.before.port(), 1));
    stage.move_cluster();
    stage.half_a_minute_later();
    stage.before.stop(Shutdown::Immediate).expect("it stops");
    wire.rest().expect("the session ends");
    assert_eq!((new_port(&pgferry), stage.asked()), (stage.after.port(), 2));
}

#[test]
fn a_reader_that_takes_no_changes_is_where_it_belongs() {
    let stage = Stage::new();
    let pgferry = stage.start("reader");
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    change_nothing(&mut wire);
    stage.move_cluster();
    stage.half_a_minute_later();
    assert_eq!((new_port(&pgferry), stage.asked()), (stage.before.port(), 1));
}
