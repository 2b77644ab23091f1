//! PostgreSQL's regression suite, and `pg_dump` of what it leaves behind, through Session Manager.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pgferry_simulators::{Aws, ManagedInstance, Postgres, Role, SessionManager, Sshd};

use crate::support::pgferry::Pgferry;
use crate::support::target::Target;
use crate::support::world::{Way, World};
use crate::{Address, SOURCE, files, given, tool};

/// `pg_regress`.
const REGRESS: &str = "PGFERRY_REGRESS";
/// The directory of the modules that the suite loads into the server.
const MODULES: &str = "PGFERRY_REGRESS_MODULES";

const NODE: &str = "i-0123456789abcdef0";

struct Stage {
    // First, so that pgferry is gone before what it leads to.
    pgferry: Pgferry,
    sessions: SessionManager,
    _aws: Aws,
    world: World,
}

impl Stage {
    fn start() -> Self {
        let postgres = Postgres::builder().setting("max_prepared_transactions", "10").start();
        let world = World::with(postgres, Sshd::start());
        let aws = Aws::start();
        aws.add_managed_instance(ManagedInstance::new(NODE));
        let sessions = aws.session_manager();
        let mut target = Target::new("db", &world, Way::Direct, Role::Superuser);
        target.transport = format!("{{ kind = \"ssm\", instance = \"{NODE}\" }}");
        let pgferry = Pgferry::start_with(&target.to_string(), |command| {
            command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
            command.env("PGFERRY_LOG_LEVEL", "info").envs(aws.envs());
        });
        Self { pgferry, sessions, _aws: aws, world }
    }

    fn direct(&self) -> Address {
        let host = self.world.postgres.address().expect("a TCP listener").to_string();
        Address { host, port: self.world.postgres.port() }
    }

    fn proxied(&self) -> Address {
        Address { host: "127.0.0.1".to_owned(), port: self.pgferry.port("db") }
    }

    /// Does something while every `WebSocket` is cut each five seconds, in turn with and without a word.
    fn cutting<T>(&self, work: impl FnOnce() -> T) -> T {
        let sessions = self.sessions.clone();
        let (done, over) = mpsc::channel::<()>();
        let cutting = thread::spawn(move || {
            let mut cuts = 0;
            while over.recv_timeout(Duration::from_secs(5)) == Err(mpsc::RecvTimeoutError::Timeout)
            {
                cuts += 1;
                if cuts % 2 == 0 {
                    sessions.close_websockets(1000, "Bye");
                } else {
                    sessions.reset_websockets();
                }
            }
            cuts
        });
        let result = work();
        drop(done);
        let cuts = cutting.join().expect("no panic");
        println!("{cuts} cuts");
        assert!(cuts > 0, "nothing was cut");
        result
    }

    /// The suite's output, by test. Always made in the same directory: errors name it.
    fn regress(&self, address: &Address, directory: &Path) -> Vec<(String, String)> {
        let suite = given(SOURCE).join("src/test/regress");
        fs::remove_dir_all(directory).ok();
        fs::create_dir(directory).unwrap();
        let mut regress = tool(&self.world, &given(REGRESS), address);
        regress.arg(format!("--inputdir={}", suite.display()));
        regress.arg(format!("--schedule={}", suite.join("parallel_schedule").display()));
        regress.arg(format!("--dlpath={}", given(MODULES).display()));
        let client = self.world.postgres.client("psql");
        let programs = Path::new(client.get_program()).parent().expect("a directory");
        regress.arg(format!("--bindir={}", programs.display())).arg("--outputdir=.");
        regress.arg(format!("--host={}", address.host)).arg(format!("--port={}", address.port));
        regress.arg("--user=postgres");
        let began = tokio::time::Instant::now();
        let output = regress.current_dir(directory).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let results = files(&directory.join("results"));
        assert!(results.len() > 180, "only {} tests ran: {said}", results.len());
        let verdict = |line: &&str| line.contains("tests passed") || line.contains("tests failed");
        let words = said.lines().find(verdict).unwrap_or(&said);
        println!("{words} in {:.0?}", began.elapsed());
        results
            .into_iter()
            .filter(|(name, _)| Path::new(name).extension().is_some_and(|it| it == "out"))
            .collect()
    }

    /// The whole database as SQL.
    fn dump(&self, address: &Address) -> String {
        let program = self.world.postgres.client("pg_dump");
        let mut dump = tool(&self.world, Path::new(program.get_program()), address);
        let began = tokio::time::Instant::now();
        let output = dump.arg("--dbname=regression").output().expect("it starts");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        let dump = String::from_utf8(output.stdout).expect("UTF-8");
        println!("{} bytes of pg_dump in {:.0?}", dump.len(), began.elapsed());
        // Keys of psql, by chance.
        let restricts =
            |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
        dump.lines().filter(|line| !restricts(line)).collect::<Vec<_>>().join("\n")
    }
}

/// What differs from run to run without pgferry differs for reasons of its own.
fn compare(direct: &[Vec<(String, String)>; 2], proxied: &[(String, String)]) {
    let [once, again] = direct;
    let mut different = Vec::new();
    for ((name, first), (_, second)) in once.iter().zip(again) {
        let seen = proxied.iter().find(|(other, _)| other == name).map(|(_, output)| output);
        if seen != Some(first) && first == second {
            different.push(name);
        }
    }
    assert!(different.is_empty(), "other output than without pgferry: {different:?}");
}

#[test]
#[ignore = "needs PostgreSQL's sources: make test-conformance"]
fn the_regression_suite_gives_the_same_results_through_session_manager_however_often_it_is_cut() {
    let stage = Stage::start();
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path().join("suite");
    let direct = [(); 2].map(|()| stage.regress(&stage.direct(), &work));
    compare(&direct, &stage.regress(&stage.proxied(), &work));
    let dump = stage.dump(&stage.direct());
    assert!(dump == stage.dump(&stage.proxied()), "another dump than without pgferry");
    compare(&direct, &stage.cutting(|| stage.regress(&stage.proxied(), &work)));
    let dump = stage.dump(&stage.direct());
    let cut = stage.cutting(|| stage.dump(&stage.proxied()));
    assert!(dump == cut, "another dump than without pgferry");
    assert_eq!(stage.sessions.breaches(), []);
}
