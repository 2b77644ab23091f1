//! PostgreSQL's own test programs give through pgferry what they give directly.
//!
//! They are not part of `make test`: `make test-conformance` fetches PostgreSQL's sources, builds
//! what is needed and runs this file with the three variables below.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends by panicking, also in what its tests share, and says what it has seen"
)]

#[path = "conformance/regression.rs"]
mod regression;
mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgferry_simulators::{Postgres, Role, Sshd};
use support::pgferry::Pgferry;
use support::target::Target;
use support::tool::succeed;
use support::world::{Way, World};

/// The unpacked sources of PostgreSQL.
const SOURCE: &str = "PGFERRY_PG_SOURCE";
/// The directory of `pg_isolation_regress` and `isolationtester`.
const ISOLATION: &str = "PGFERRY_ISOLATION_BIN";
/// The program built from `src/test/modules/libpq_pipeline`.
const PIPELINE: &str = "PGFERRY_LIBPQ_PIPELINE";

/// How much this test sends depends on the buffers on the way; that it succeeds does not.
const UNTIL_FULL: &str = "uniqviol";

fn given(variable: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set")).into()
}

/// Where a program is sent.
struct Address {
    host: String,
    port: u16,
}

struct Stage {
    world: World,
    _pgferry: Pgferry,
    direct: Address,
    proxied: Address,
}

impl Stage {
    /// The superuser's target.
    fn start(way: Way) -> Self {
        let postgres = Postgres::builder()
            .setting("max_connections", "200")
            .setting("max_prepared_transactions", "10")
            .start();
        let world = World::with(postgres, Sshd::start());
        let target = Target::new("db", &world, way, Role::Superuser);
        let pgferry = Pgferry::start(&target.to_string());
        let host = world.postgres.address().expect("a TCP listener").to_string();
        let direct = Address { host, port: world.postgres.port() };
        let proxied = Address { host: "127.0.0.1".to_owned(), port: pgferry.port("db") };
        Self { world, _pgferry: pgferry, direct, proxied }
    }
}

/// A program that finds one of the two in its environment.
fn tool(world: &World, program: &Path, address: &Address) -> Command {
    let mut tool = Command::new(program);
    tool.env("PGHOST", &address.host).env("PGPORT", address.port.to_string());
    // libpq's own words for a lost connection differ with TLS, which pgferry does not speak here.
    tool.env("PGSSLMODE", "disable")
        .env("PGUSER", "postgres")
        .env("PGPASSWORD", world.postgres.password(Role::Superuser));
    tool
}

/// Every file below `directory`, by its name there.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path())))
        .collect()
}

#[test]
#[ignore = "needs PostgreSQL's sources: make test-conformance"]
fn the_isolation_suite_gives_the_same_results_direct_and_proxied() {
    let stage = Stage::start(Way::SshLinked);
    let suite = given(SOURCE).join("src/test/isolation");
    let program = given(ISOLATION).join("pg_isolation_regress");
    let results = |address: &Address| {
        let directory = tempfile::tempdir().unwrap();
        let mut regress = tool(&stage.world, &program, address);
        regress.arg(format!("--inputdir={}", suite.display()));
        regress.arg(format!("--schedule={}", suite.join("isolation_schedule").display()));
        let client = stage.world.postgres.client("psql");
        let programs = Path::new(client.get_program()).parent().expect("a directory");
        regress.arg(format!("--bindir={}", programs.display())).arg("--outputdir=.");
        regress.arg(format!("--host={}", address.host)).arg(format!("--port={}", address.port));
        regress.arg("--user=postgres");
        // Its exit status speaks of PostgreSQL's expected files, which may be of another minor
        // version; here only the difference between the two runs counts.
        let output = regress.current_dir(&directory).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let results = files(&directory.path().join("results"));
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(results.len() > 90, "only {} tests ran: {said}{complaint}", results.len());
        println!("{}", said.lines().rev().find(|line| line.contains("tests")).unwrap_or(&said));
        results
    };
    let (direct, proxied) = (results(&stage.direct), results(&stage.proxied));
    for (name, expected) in &direct {
        assert_eq!(proxied.get(name), Some(expected), "{name}");
    }
    assert_eq!(proxied.len(), direct.len());
}

/// What a trace shows of each direction. How the two interleave is a matter of time.
fn messages(trace: &str) -> [Vec<String>; 2] {
    ["F\t", "B\t"].map(|direction| {
        let lines = trace.lines().filter(|line| line.starts_with(direction));
        lines.map(ToOwned::to_owned).collect()
    })
}

#[test]
#[ignore = "needs PostgreSQL's sources: make test-conformance"]
fn libpqs_pipeline_tests_exchange_the_same_messages_direct_and_proxied() {
    // Not through a tunnel: one of the tests sends until every buffer on the way is full, and a
    // tunnel has megabytes of them.
    let stage = Stage::start(Way::Direct);
    let program = given(PIPELINE);
    let names = succeed(Command::new(&program).arg("tests"));
    let directory = tempfile::tempdir().unwrap();
    let mut ran = 0;
    for name in names.lines() {
        let trace = |address: &Address| {
            let trace = directory.path().join(name);
            // The tests leave tables behind, which the next ones speak of.
            for sql in ["drop database if exists pipeline", "create database pipeline"] {
                stage.world.postgres.query(sql).unwrap();
            }
            let mut test = tool(&stage.world, &program, address);
            succeed(test.arg("-t").arg(&trace).args([name, "dbname=pipeline"]));
            messages(&fs::read_to_string(&trace).unwrap())
        };
        let (proxied, direct) = (trace(&stage.proxied), trace(&stage.direct));
        if name != UNTIL_FULL {
            assert_eq!(proxied, direct, "{name}");
        }
        ran += 1;
    }
    assert!(ran >= 11, "only {ran} tests ran");
}
