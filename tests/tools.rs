//! PostgreSQL's own programs work through an SSH tunnel as they do without.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking, also in what its tests share"
)]

mod support;

use std::fs;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;

use pgferry_simulators::{Grace, Postgres, Process, Role, Sshd};
use rustix::process::Signal;
use support::PATIENCE;
use support::pgferry::Pgferry;
use support::shared::Shared;
use support::terminal::ctrl_c_cancels_and_the_session_goes_on;
use support::tool::{run, succeed};
use support::wire::Wire;
use support::world::{Way, World};

/// One pgferry with an SSH target for the owner of `app` and one for replication.
struct Stage {
    pgferry: Pgferry,
    world: World,
}

static STAGE: Shared<Stage> = Shared::new();

impl Stage {
    fn get() -> Arc<Self> {
        STAGE.get(|| {
            let postgres = Postgres::builder().setting("max_connections", "250").start();
            let world = World::with(postgres, Sshd::start());
            let owner = world.target("owner", Way::SshLoaded, Role::Scram);
            let replication = world.target("replication", Way::SshLoaded, Role::Replication);
            let pgferry = Pgferry::start(&format!("{owner}{replication}"));
            Self { pgferry, world }
        })
    }

    /// A program that finds the target in its environment.
    fn tool(&self, target: &str, program: &str) -> Command {
        let mut tool = self.world.postgres.client(program);
        tool.env("PGHOST", "127.0.0.1").env("PGPORT", self.pgferry.port(target).to_string());
        tool.env("PGUSER", "me").env("PGDATABASE", "app");
        tool
    }

    fn psql(&self) -> Command {
        let mut psql = self.tool("owner", "psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
        psql
    }

    /// What psql prints, which has to be the same without pgferry.
    fn same(&self, arguments: &[&str]) -> String {
        let mut direct = self.world.postgres.psql(Role::Scram);
        let expected = succeed(direct.args(arguments));
        let seen = succeed(self.psql().args(arguments));
        assert_eq!(seen, expected, "{arguments:?}");
        seen
    }
}

#[test]
fn psql_fetches_lists_and_describes_as_it_does_directly() {
    let stage = Stage::get();
    stage.same(&["-c", "\\l postgres", "-c", "\\du", "-c", "\\dn+ public"]);
    stage.same(&["-c", "\\d pg_class", "-c", "\\df+ pg_catalog.abs", "-c", "\\dT pg_catalog.*"]);
    let rows = stage.same(&[
        "-v",
        "FETCH_COUNT=1000",
        "-c",
        "select i, md5(i::text) from generate_series(1, 10500) i",
    ]);
    assert_eq!(rows.lines().count(), 10_500);
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script.sql");
    let text = "select 1 as a, 'x' as b \\gdesc\n\
                select 'select ' || i from generate_series(1, 5) i \\gexec\n\
                select 6 as six \\gset\n\\echo :six\nselect :six * 7;\n";
    fs::write(&script, text).unwrap();
    assert!(stage.same(&["-f", script.to_str().unwrap()]).ends_with("5\n6\n42\n"));
}

#[test]
fn psql_copies_a_file_in_and_out_unchanged() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let (source, back) = (directory.path().join("in.csv"), directory.path().join("out.csv"));
    let lines = (0..50_000).map(|i| format!("{i},\"line {i}, with ünïcode\"\n"));
    fs::write(&source, lines.collect::<String>()).unwrap();
    succeed(stage.psql().args(["-c", "create table copied (a int, b text)"]));
    let copy_in = format!("\\copy copied from '{}' csv", source.display());
    let copy_out = format!(
        "\\copy (select a, b from copied order by a) to '{}' (format csv, force_quote (b))",
        back.display()
    );
    succeed(stage.psql().args(["-c", &copy_in, "-c", &copy_out]));
    assert!(fs::read(&source).unwrap() == fs::read(&back).unwrap(), "the files differ");
}

#[test]
fn psql_runs_a_script_in_one_transaction_all_or_nothing() {
    let stage = Stage::get();
    succeed(stage.psql().args(["-c", "create table single (a int)"]));
    let insert = |more: &str| {
        let mut psql = stage.psql();
        psql.args(["-1", "-c", "insert into single values (1)", "-c", more]);
        run(&psql)
    };
    let failed = insert("insert into single values (1/0)");
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert_eq!(succeed(stage.psql().args(["-c", "select count(*) from single"])), "0\n");
    assert!(insert("insert into single values (2)").status.success());
    assert_eq!(succeed(stage.psql().args(["-c", "select count(*) from single"])), "2\n");
}

#[test]
fn psql_shows_notifications_and_notices() {
    let stage = Stage::get();
    let mut psql = stage.psql();
    psql.args(["-c", "listen tool_news", "-c", "notify tool_news, 'hello'"]);
    let text = succeed(&psql);
    assert!(text.contains("\"tool_news\" with payload \"hello\" received"), "{text}");
    let output = run(stage.psql().args(["-c", "do $$ begin raise warning 'careful'; end $$"]));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text, "WARNING:  careful\n");
}

#[test]
fn ctrl_c_in_psql_cancels_the_query_and_the_session_goes_on() {
    let stage = Stage::get();
    // psql goes on after a Ctrl-C at a terminal only.
    let mut psql = stage.tool("owner", "psql");
    psql.args(["-X", "-A", "-t", "-q"]).env("PAGER", "cat");
    ctrl_c_cancels_and_the_session_goes_on(&psql);
}

#[test]
fn pgbench_runs_with_every_protocol_and_with_a_connection_for_each_transaction() {
    let stage = Stage::get();
    let pgbench = |arguments: &[&str]| {
        let text = succeed(stage.tool("owner", "pgbench").args(arguments));
        assert!(!text.contains("aborted"), "{text}");
        text
    };
    pgbench(&["-i", "-q", "-s", "2"]);
    for protocol in ["simple", "extended", "prepared"] {
        let text = pgbench(&["-n", "-M", protocol, "-c", "4", "-j", "2", "-t", "50"]);
        assert!(text.contains("actually processed: 200/200"), "{text}");
    }
    let text = pgbench(&["-n", "-S", "-C", "-c", "2", "-t", "10"]);
    assert!(text.contains("actually processed: 20/20"), "{text}");
    let sums = "select count(*) from pgbench_history union all \
                select count(*) from pgbench_accounts";
    assert_eq!(stage.same(&["-c", sums]), "600\n200000\n");
    let balanced = "select (select sum(abalance) from pgbench_accounts) = \
                    (select sum(delta) from pgbench_history)";
    assert_eq!(stage.same(&["-c", balanced]), "t\n");
}

#[test]
fn a_dump_in_either_format_restores_to_the_same_database() {
    let stage = Stage::get();
    let sql = "create schema shop; create table shop.item as select i as id, md5(i::text) as name, \
               repeat('v', i % 300) as text from generate_series(1, 30000) i; \
               alter table shop.item add primary key (id); create index on shop.item (name); \
               create view shop.cheap as select * from shop.item where id < 10; \
               select lo_from_bytea(4711, 'large object')";
    succeed(stage.psql().args(["-c", sql]));
    let directory = tempfile::tempdir().unwrap();
    for (database, format, jobs) in [("copy_c", "-Fc", "-j1"), ("copy_d", "-Fd", "-j2")] {
        let dump = directory.path().join(database);
        let mut pg_dump = stage.tool("owner", "pg_dump");
        succeed(pg_dump.args([format, jobs, "-n", "shop", "-b", "-f"]).arg(&dump));
        let create = format!("create database {database} owner app_scram");
        stage.world.postgres.query(&create).unwrap();
        let mut restore = stage.tool("owner", "pg_restore");
        succeed(restore.args(["--exit-on-error", "-j2", "-d", database]).arg(&dump));
        // Each in an option of its own: psql 14 shows the last result of an option alone.
        let sum = [
            "-c",
            "select count(*), md5(string_agg(i::text, '|' order by id)) from shop.item i",
            "-c",
            "select count(*) from shop.cheap",
            "-c",
            "select lo_get(4711)",
            "-c",
            "select indexdef from pg_indexes where schemaname = 'shop' order by 1",
        ];
        let original = succeed(stage.psql().args(sum));
        let restored = succeed(stage.psql().args(["-d", database]).args(sum));
        assert!(original.starts_with("30000|"), "{original}");
        assert_eq!(restored, original, "{database}");
    }
}

#[test]
fn pg_recvlogical_creates_a_slot_streams_changes_and_drops_it() {
    let stage = Stage::get();
    // A slot hears of everything in its database, and other tests write a lot into theirs.
    stage.world.postgres.query("create database streams owner app_scram").unwrap();
    let recvlogical = |more: &[&str]| {
        let mut tool = stage.tool("replication", "pg_recvlogical");
        tool.args(["-d", "streams", "--slot", "tool_slot"]).args(more);
        tool
    };
    succeed(&recvlogical(&["--create-slot", "-P", "test_decoding"]));
    let mut streaming = recvlogical(&["--start", "-f", "-", "--no-loop"]);
    streaming.args(["-o", "include-xids=0", "-o", "skip-empty-xacts=1"]);
    let (mut process, log) = Process::run(&streaming, Grace::Kill).unwrap();
    let sql = "create table streamed (a int); insert into streamed values (4711)";
    succeed(stage.psql().args(["-d", "streams", "-c", sql]));
    log.wait_for("table public.streamed: INSERT: a[integer]:4711", PATIENCE).unwrap();
    succeed(stage.psql().args(["-d", "streams", "-c", "update streamed set a = 4712"]));
    log.wait_for("table public.streamed: UPDATE: a[integer]:4712", PATIENCE).unwrap();
    process.signal(Signal::INT).unwrap();
    assert_eq!(process.wait(PATIENCE).unwrap(), Some(0), "{}", log.text());
    succeed(&recvlogical(&["--drop-slot"]));
    let slots = "select count(*) from pg_replication_slots where slot_name = 'tool_slot'";
    assert_eq!(stage.world.postgres.query(slots).unwrap(), "0");
}

#[test]
fn pg_basebackup_takes_a_whole_backup_with_a_second_connection_for_the_log() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let backup = directory.path().join("backup");
    let mut basebackup = stage.tool("replication", "pg_basebackup");
    basebackup.args(["-X", "stream", "-c", "fast", "--no-sync", "-D"]).arg(&backup);
    succeed(&basebackup);
    let mut verify = stage.world.postgres.client("pg_verifybackup");
    let text = succeed(verify.arg(&backup));
    assert_eq!(text, "backup successfully verified\n");
}

#[test]
fn replication_commands_are_answered_as_they_are_directly() {
    let stage = Stage::get();
    let psql = |target: &str, kind: &str| {
        let mut psql = stage.tool(target, "psql");
        psql.args(["-X", "-A", "-t", "-d"]).arg(format!("dbname=app replication={kind}"));
        psql
    };
    let identify = "IDENTIFY_SYSTEM";
    let logical = succeed(psql("replication", "database").args(["-c", identify, "-c", "select 1"]));
    assert!(logical.ends_with("|app\n1\n"), "{logical}");
    let physical = succeed(psql("replication", "true").args(["-c", identify]));
    assert!(physical.ends_with("|\n"), "{physical}");
    let refused = run(psql("owner", "true").args(["-c", identify]));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("FATAL:"), "{text}");
}

#[test]
fn a_hundred_sessions_at_once_each_get_their_own_answers() {
    const SESSIONS: usize = 100;
    let stage = Stage::get();
    let all_open = Barrier::new(SESSIONS);
    let address = stage.pgferry.address("owner");
    let session = |number: usize| {
        let mut wire = Wire::session(address, "me");
        all_open.wait();
        let answer = wire.query(&format!("select {number}, pg_backend_pid()"));
        let columns = answer[1].columns();
        assert_eq!(columns[0], Some(number.to_string()));
        columns[1].clone().expect("a process id")
    };
    let session = &session;
    let mut backends: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..SESSIONS).map(|number| scope.spawn(move || session(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the session works")).collect()
    });
    backends.sort();
    backends.dedup();
    assert_eq!(backends.len(), SESSIONS, "each has a backend of its own");
}
