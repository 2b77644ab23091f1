//! `pgferry exec` and `pgferry psql`: a command with a listener of its own.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;

use pgferry_simulators::{Direction, FaultRelay, Role};
use rustix::process::{Pid, Signal, kill_process};
use support::client::Wire;
use support::pgferry::{Pgferry, binary, write_config};
use support::shared::Shared;
use support::target::Target;
use support::tool::{at_terminal, limited, run, succeed};
use support::world::{Way, World};

/// A user that needs no account.
const STRANGER: &str = "61235";

struct Stage {
    world: World,
    config: PathBuf,
}

static STAGE: Shared<Stage> = Shared::new();

impl Stage {
    fn get() -> Arc<Self> {
        STAGE.get(|| {
            let world = World::start();
            let mut dev = Target::new("dev", &world, Way::Direct, Role::Scram);
            dev.database = world.database_with(", name = \"app\"");
            let mut nameless = Target::new("nameless", &world, Way::Direct, Role::Scram);
            // Local login is not what `run` would ask for: this file is not even there.
            "{ kind = \"scram\", password_file = \"none\" }".clone_into(&mut nameless.local_auth);
            let mut tunnel = Target::new("tunnel", &world, Way::SshLinked, Role::Scram);
            tunnel.database.clone_from(&dev.database);
            let mut broken = dev.clone();
            broken.name = "broken";
            broken.credential = world.credential(Role::Reject);
            let text = format!("{dev}{nameless}{tunnel}{broken}");
            let config = write_config(world.directory(), &text);
            Self { world, config }
        })
    }

    fn command(&self, subcommand: &str, target: &str, words: &[&str]) -> Command {
        command(&self.world, &self.config, subcommand, target, words)
    }

    fn exec(&self, target: &str, words: &[&str]) -> Command {
        self.command("exec", target, words)
    }

    /// A child that prints its environment, and ends when its standard input does.
    fn waiting(&self, target: &str) -> Running {
        let script = "env; echo; read line";
        Running::start(&mut self.exec(target, &["sh", "-c", script]))
    }
}

fn command(
    world: &World,
    config: &Path,
    subcommand: &str,
    target: &str,
    words: &[&str],
) -> Command {
    let mut command = binary();
    // Debian's psql is a script that looks for the newest version; the servers' own needs none.
    let path = std::env::var("PATH").unwrap();
    let programs = world.postgres.programs().display();
    command.env("PATH", format!("{programs}:{path}"));
    for name in std::env::vars_os().map(|(name, _)| name) {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.args([subcommand, target, "--config"]).arg(config).arg("--").args(words);
    command
}

/// A command with both ends in the test's hands.
struct Running {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { stdin: process.stdin.take(), lines, process }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("another line").expect("text")
    }

    fn see(&mut self, text: &str) {
        while !self.line().contains(text) {}
    }

    fn environment(&mut self) -> BTreeMap<String, String> {
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty()));
        let pair = |line: String| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        lines.filter_map(pair).collect()
    }

    fn write(&mut self, keys: &str) {
        self.stdin.as_mut().unwrap().write_all(keys.as_bytes()).expect("it reads");
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.process.id().cast_signed()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Ends its input. Gives the exit code and what it still printed.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        drop(self.stdin.take());
        let rest = self.lines.by_ref().map(|line| line.expect("text")).collect();
        (self.process.wait().expect("it ends").code(), rest)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn tools_find_the_database_in_their_environment() {
    let stage = Stage::get();
    let create = ["-X", "-q", "-c", "create table exec_dumped (a int)"];
    succeed(&stage.command("psql", "dev", &create));
    let dump = succeed(&stage.exec("dev", &["pg_dump", "--schema-only"]));
    assert!(dump.contains("CREATE TABLE public.exec_dumped"), "{dump}");
    let who = "select current_user || ' in ' || current_database()";
    let rows = succeed(&stage.command("psql", "dev", &["-X", "-A", "-t", "-c", who]));
    assert_eq!(rows, "app_scram in app\n");
    let by_url = ["sh", "-c", "exec psql -X -A -t -c \"$0\" \"$DATABASE_URL\"", who];
    assert_eq!(succeed(&stage.exec("dev", &by_url)), "app_scram in app\n");
}

#[test]
fn the_environment_leads_to_the_listener_and_nowhere_else() {
    let stage = Stage::get();
    let query = "select current_setting('statement_timeout') || ' ' || \
                 current_setting('application_name')";
    let mut psql = stage.command("psql", "dev", &["-X", "-A", "-t", "-c", query]);
    // Each of these alone would lead elsewhere, or end in an error.
    psql.envs([("PGHOST", "nowhere.example"), ("PGHOSTADDR", "127.0.0.2"), ("PGPORT", "1")]);
    psql.envs([("PGUSER", "nobody"), ("PGDATABASE", "none"), ("PGPASSWORD", "wrong")]);
    psql.envs([("PGSERVICE", "none"), ("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "/none")]);
    psql.envs([("PGCHANNELBINDING", "require"), ("PGREQUIREAUTH", "none")]);
    psql.envs([("PGGSSENCMODE", "require"), ("PGTARGETSESSIONATTRS", "standby")]);
    psql.envs([("PGSSLNEGOTIATION", "direct"), ("PGSSLMINPROTOCOLVERSION", "none")]);
    // These are the user's business.
    psql.envs([("PGOPTIONS", "-c statement_timeout=4711"), ("PGAPPNAME", "mine")]);
    assert_eq!(succeed(&psql), "4711ms mine\n");
}

#[test]
fn a_target_without_a_database_name_leaves_the_choice_to_the_environment() {
    let stage = Stage::get();
    let query = ["-X", "-A", "-t", "-c", "select current_database()"];
    let mut psql = stage.command("psql", "nameless", &query);
    assert_eq!(succeed(psql.env("PGDATABASE", "postgres")), "postgres\n");
    let mut child = stage.waiting("nameless");
    let environment = child.environment();
    // What libpq would choose without pgferry.
    assert_eq!(environment["PGDATABASE"], "app_scram");
    assert!(environment["DATABASE_URL"].contains("/app_scram?"), "{environment:?}");
    assert_eq!(child.end().0, Some(1));
}

#[test]
fn output_and_exit_code_are_those_that_a_shell_gives() {
    let stage = Stage::get();
    let file = stage.world.directory().join("not-executable");
    fs::write(&file, "").unwrap();
    let scripts: [&[&str]; 8] = [
        &["true"],
        &["sh", "-c", "echo out; echo err >&2; exit 7"],
        &["sh", "-c", "exit 255"],
        &["sh", "-c", "kill -TERM $$"],
        &["sh", "-c", "kill -KILL $$"],
        &["sh", "-c", "kill -INT $$"],
        &["no-such-command", "argument"],
        &[file.to_str().unwrap()],
    ];
    for words in scripts {
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$@\"; exit $?", "sh"]).args(words);
        let (shell, ours) = (run(&shell), run(&stage.exec("dev", words)));
        assert_eq!(ours.status.code(), shell.status.code(), "{words:?}: {ours:?}, {shell:?}");
        assert_eq!(text(&ours.stdout), text(&shell.stdout), "{words:?}");
        if ours.status.code() == Some(7) {
            assert_eq!(text(&ours.stderr), text(&shell.stderr), "{words:?}");
        }
    }
    let found = |code, output: Output, words: &str| {
        assert_eq!(output.status.code(), Some(code));
        assert!(text(&output.stderr).contains(words), "{output:?}");
    };
    found(127, run(&stage.exec("dev", &["no-such-command"])), "no-such-command: command not found");
    let mut psql = stage.command("psql", "dev", &[]);
    let output = psql.env("PATH", "/nonexistent").output().unwrap();
    found(127, output, "psql: command not found; it is in the package postgresql-client");
}

#[test]
fn a_target_that_does_not_work_is_told_by_the_client() {
    let stage = Stage::get();
    let output = run(&stage.command("psql", "broken", &["-X", "-c", "select 1"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("FATAL:  ") && said.contains("HINT:  "), "{said}");
    let own = said.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR "));
    assert!(own.count() <= 1, "{said}");
}

#[test]
fn a_signal_to_pgferry_alone_reaches_the_child_once_and_the_childs_code_comes_back() {
    let stage = Stage::get();
    let script = "for s in HUP INT QUIT TERM USR1 USR2; do trap \"echo got $s\" $s; done
                  echo ready; while read line; do echo read $line; done; exit 5";
    let exec = stage.exec("dev", &["bash", "-c", script]);
    // Whoever started the tests may ignore some, as nohup does.
    let mut fresh = Command::new("env");
    fresh.arg("--default-signal=HUP,INT,QUIT,TERM,USR1,USR2");
    fresh.arg(exec.get_program()).args(exec.get_args());
    let mut child = Running::start(&mut fresh);
    child.see("ready");
    let signals = [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::TERM, "TERM"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ];
    for (signal, name) in signals {
        child.signal(signal);
        // A shell looks at its traps between two commands.
        child.write("line\n");
        let mut lines = [child.line(), child.line()];
        lines.sort();
        assert_eq!(lines, [format!("got {name}"), "read line".to_owned()]);
    }
    assert_eq!(child.end(), (Some(5), vec![]));

    let mut child = stage.waiting("dev");
    child.environment();
    child.signal(Signal::TERM);
    // Its input stays open: nothing else ends it.
    assert_eq!(child.process.wait().unwrap().code(), Some(143));
}

#[test]
fn a_signal_that_was_ignored_before_stays_ignored_by_both() {
    let stage = Stage::get();
    let exec = stage.exec("dev", &["sh", "-c", "kill -HUP $$; kill -HUP $PPID; echo alive"]);
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    nohup.arg(exec.get_program()).args(exec.get_args());
    assert_eq!(succeed(&nohup), "alive\n");
}

#[test]
fn ctrl_c_in_psql_cancels_the_query_through_the_tunnel_and_the_session_goes_on() {
    let stage = Stage::get();
    let mut psql = stage.command("psql", "tunnel", &["-X", "-A", "-t", "-q"]);
    psql.env("PAGER", "cat");
    let mut screen = Running::start(&mut limited(&at_terminal(&psql)));
    screen
        .write("do $$ begin raise notice '%', 'it ' || 'runs'; perform pg_sleep(3600); end $$;\n");
    screen.see("NOTICE:  it runs");
    screen.write("\x03");
    screen.see("ERROR:  canceling statement due to user request");
    screen.write("select 'still ' || 'usable';\n\\q\n");
    screen.see("still usable");
    assert_eq!(screen.end().0, Some(0));
    assert!(stage.world.sshd.connections() > 0);
}

#[test]
fn a_key_of_the_terminal_reaches_the_child_once() {
    let stage = Stage::get();
    let script = stage.world.directory().join("counts-interrupts");
    fs::write(&script, "trap 'echo got it' INT\necho ready\nwhile read line; do echo read; done\n")
        .unwrap();
    let exec = stage.exec("dev", &["bash", script.to_str().unwrap()]);
    let mut screen = Running::start(&mut limited(&at_terminal(&exec)));
    screen.see("ready");
    screen.write("\x03");
    screen.see("got it");
    // Whatever else there is to come is there when this has been read.
    screen.write("line\n");
    screen.see("read");
    screen.write("\x04");
    let (code, rest) = screen.end();
    assert_eq!(code, Some(0));
    assert!(!rest.iter().any(|line| line.contains("got it")), "{rest:?}");
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_gives_it_back() {
    let stage = Stage::get();
    // %012 is a line end: an echo of this line does not look like the prompt.
    let prompt = "PROMPT1=psql-is-ready%012";
    let psql = stage.command("psql", "dev", &["-X", "-A", "-t", "-q", "-v", prompt]);
    let line: Vec<_> = std::iter::once(psql.get_program())
        .chain(psql.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let mut shell = Command::new("bash");
    shell
        .args(["--norc", "--noprofile", "-i"])
        .env("HISTFILE", "")
        .env("TERM", "dumb")
        .env("PAGER", "cat");
    for (name, value) in psql.get_envs() {
        value.map(|value| shell.env(name, value));
    }
    let mut screen = Running::start(&mut limited(&at_terminal(&shell)));
    screen.write(&format!("{}\n", line.join(" ")));
    while !screen.line().ends_with("psql-is-ready") {}
    screen.write("\x1a");
    screen.see("Stopped");
    screen.write("echo shell $((6 * 7))\n");
    screen.see("shell 42");
    screen.write("fg\n");
    // The shell says what it continues once psql has the terminal, or is about to.
    screen.see("pgferry psql");
    screen.write("select 'back ' || 'again';\n");
    screen.see("back again");
    screen.write("\\q\n");
    screen.write("exit 9\n");
    assert_eq!(screen.end().0, Some(9));
}

#[test]
fn the_password_is_in_no_process_list_and_in_no_log() {
    let stage = Stage::get();
    let mut exec = stage.exec("tunnel", &["sh", "-c", "env; echo; psql -X -c 'select 1'; read l"]);
    let words: Vec<_> = exec.get_args().map(ToOwned::to_owned).collect();
    let envs: Vec<_> =
        exec.get_envs().map(|(n, v)| (n.to_owned(), v.map(ToOwned::to_owned))).collect();
    let log = stage.world.directory().join("trace.log");
    exec = Command::new("sh");
    exec.args(["-c", "log=$1; shift; exec \"$@\" 2>\"$log\"", "sh"]).arg(&log);
    exec.arg(env!("CARGO_BIN_EXE_pgferry")).args(&words[..2]).args(["--log-level", "trace"]);
    exec.args(&words[2..]);
    for (name, value) in envs {
        match value {
            Some(value) => exec.env(name, value),
            None => exec.env_remove(name),
        };
    }
    let mut child = Running::start(&mut exec);
    let password = child.environment()["PGPASSWORD"].clone();
    assert!(password.len() * 4 >= 192, "{}", password.len());
    child.see("(1 row)");
    let mut seen = 0;
    for entry in fs::read_dir("/proc").unwrap() {
        // A process may end while one looks.
        let Ok(words) = fs::read(entry.unwrap().path().join("cmdline")) else { continue };
        assert!(!text(&words).contains(&password), "{}", text(&words));
        seen += 1;
    }
    assert!(seen > 3, "there is no process list to look at");
    child.end();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    assert!(!log.contains(&password), "{log}");
}

#[test]
fn who_does_not_know_the_password_is_refused_whoever_it_is() {
    let stage = Stage::get();
    let mut child = stage.waiting("dev");
    let environment = child.environment();
    let received = "connection received: host=127.0.0.1";
    let before = stage.world.postgres.log().count(received);
    let try_with = |user: Option<&str>, password: &str| {
        let own = stage.world.postgres.client("psql");
        let mut psql = Command::new(own.get_program());
        if let Some(user) = user {
            psql = Command::new("setpriv");
            psql.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]);
            psql.arg(own.get_program());
        }
        let (host, port) = (&environment["PGHOST"], &environment["PGPORT"]);
        psql.arg(format!("host={host} port={port} user=pgferry dbname=app"));
        psql.args(["-X", "-w", "-c", "select 1"]).env("PGPASSWORD", password);
        psql.env("HOME", "/nonexistent").env_remove("PGPASSFILE");
        let output = psql.output().unwrap();
        (output.status.success(), text(&output.stderr))
    };
    // To become somebody else takes root.
    let stranger = rustix::process::geteuid().is_root().then_some(STRANGER);
    for user in [None, stranger] {
        let (entered, said) = try_with(user, "");
        assert!(!entered && said.contains("no password supplied"), "{said}");
        let (entered, said) = try_with(user, "wrong");
        assert!(!entered && said.contains("password authentication failed"), "{said}");
    }
    assert_eq!(stage.world.postgres.log().count(received), before);
    let (entered, said) = try_with(None, &environment["PGPASSWORD"]);
    assert!(entered, "{said}");
    child.end();
}

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
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let running = Pgferry::start(&format!("{admin}{target}"));
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

/// A target whose bastion is behind a relay, in a file of its own.
fn behind_a_relay(stage: &Stage, directory: &tempfile::TempDir) -> (FaultRelay, PathBuf) {
    let bastion = SocketAddr::from(([127, 0, 0, 1], stage.world.sshd.port()));
    let relay = FaultRelay::start(bastion);
    let mut slow = Target::new("slow", &stage.world, Way::SshLinked, Role::Scram);
    slow.database = stage.world.database_with(", name = \"app\"");
    let known_hosts = directory.path().join("known_hosts");
    let known = fs::read_to_string(stage.world.sshd.known_hosts_file()).unwrap();
    let (before, after) = (bastion.port().to_string(), relay.address().port().to_string());
    fs::write(&known_hosts, known.replace(&before, &after)).unwrap();
    let theirs = format!("{:?}", stage.world.sshd.known_hosts_file());
    slow.transport = slow
        .transport
        .replace(&format!("port = {before}"), &format!("port = {after}"))
        .replace(&theirs, &format!("{known_hosts:?}"));
    let config = write_config(directory.path(), &slow.to_string());
    (relay, config)
}

#[test]
fn a_person_who_waits_for_the_tunnel_is_told_and_the_words_go_away() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let (relay, config) = behind_a_relay(&stage, &directory);
    relay.stall(Direction::TowardsFrontend);
    let mut psql = command(&stage.world, &config, "psql", "slow", &["-XAtq"]);
    psql.env("TERM", "xterm");
    let mut terminal = limited(&at_terminal(&psql));
    let mut terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let mut seen = String::new();
    let mut see = |text: &str| {
        let mut byte = [0];
        while !seen.contains(text) {
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "{text} is not in: {seen:?}");
            seen.push(char::from(byte[0]));
        }
        std::mem::take(&mut seen)
    };
    see("pgferry: opening the path to slow (ssh) ...\r");
    relay.resume(Direction::TowardsFrontend);
    assert_eq!(see("\u{1b}[K"), "\u{1b}[K", "nothing but the words was there");
    writeln!(keys, "select 'ser' || 'ved';").unwrap();
    see("served");
    writeln!(keys, "\\q").unwrap();
    drop(keys);
    assert!(terminal.wait().unwrap().success());
}
