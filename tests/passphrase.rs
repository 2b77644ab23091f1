//! Encrypted key files: the passphrase is asked for at the terminal, once for all.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "a test ends by panicking, and Debug quotes paths as TOML wants them"
)]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use pgferry_simulators::{Key, Role};
use support::PATIENCE;
use support::pgferry::{Pgferry, binary, write_config};
use support::terminal::at_terminal;
use support::tool::{limited, run, succeed};
use support::world::World;
use tempfile::TempDir;

/// `pgferry run` in a shell at a terminal of its own, in the hands of a person.
struct Person {
    script: Child,
    keys: ChildStdin,
    screen: Arc<Screen>,
    _directory: TempDir,
}

#[derive(Default)]
struct Screen {
    text: Mutex<String>,
    changed: Condvar,
}

impl Person {
    fn start(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = write_config(directory.path(), config);
        let pgferry = binary();
        let shell = directory.path().join("shell");
        // The shell survives Ctrl-C and shows how pgferry has left the terminal.
        let lines = format!(
            "trap : INT\n'{}' run --config '{}'\necho left with $?\nstty -a\n",
            pgferry.get_program().to_str().unwrap(),
            config.display()
        );
        fs::write(&shell, lines).unwrap();
        let mut command = Command::new("sh");
        command.arg(&shell).env("NO_COLOR", "1");
        let mut script = at_terminal(&command);
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, mut output) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let screen = Arc::<Screen>::default();
        let seen = Arc::clone(&screen);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..length]).into_owned();
                seen.text.lock().unwrap().push_str(&text);
                seen.changed.notify_all();
            }
        });
        Self { script, keys, screen, _directory: directory }
    }

    /// Waits until the screen has shown a text that often.
    fn sees(&self, text: &str, times: usize) -> String {
        let missing = |shown: &mut String| shown.matches(text).count() < times;
        let shown = self.screen.text.lock().unwrap();
        let (shown, late) =
            self.screen.changed.wait_timeout_while(shown, PATIENCE, missing).unwrap();
        assert!(!late.timed_out(), "no {text:?} on the screen: {shown}");
        shown.clone()
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// The port on which a target is ready.
    fn port(&self, target: &str) -> String {
        let mark = format!("ready: target {target} on 127.0.0.1:");
        self.sees(&mark, 1);
        // The rest of the line.
        let shown = self.sees("connect with: psql -h 127.0.0.1 -p ", 1);
        let (_, rest) = shown.split_once(&mark).unwrap();
        rest.split(' ').next().unwrap().to_owned()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // A hang-up is a reload to pgferry, which would outlive its terminal; a second Ctrl-C waits for no session.
        self.keys.write_all(b"\x03\x03").ok();
        let shown = self.screen.text.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = |shown: &mut String| !shown.contains("left with");
        drop(self.screen.changed.wait_timeout_while(shown, PATIENCE, runs));
        self.script.kill().unwrap();
        self.script.wait().unwrap();
    }
}

fn ssh(world: &World) -> String {
    format!(
        "kind = \"ssh\", host = \"127.0.0.1\", port = {}, user = \"{}\", key_file = {:?}, \
         known_hosts_file = {:?}",
        world.sshd.port(),
        world.sshd.user(),
        world.sshd.key_file(Key::Encrypted),
        world.sshd.known_hosts_file(),
    )
}

fn target(world: &World, name: &str, transport: &str) -> String {
    format!(
        "[targets.{name}]\nlisten = \"127.0.0.1:0\"\ndatabase = {}\ntransport = {transport}\n\
         credential = {}\n",
        world.database(),
        world.credential(Role::Scram)
    )
}

/// Two targets on one transport.
fn shared(world: &World) -> String {
    let transport = ssh(world).replace(", ", "\n");
    let targets = ["one", "two"].map(|name| target(world, name, "\"bastion\"")).concat();
    format!("[transports.bastion]\n{transport}\n{targets}")
}

fn psql(world: &World, port: &str) -> Command {
    let mut psql = world.postgres.client("psql");
    psql.args(["-X", "-A", "-t", "-q", "-c", "select 42", "-d"]);
    psql.arg(format!("host=127.0.0.1 port={port} user=me dbname=app"));
    limited(&psql)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn ten_clients_of_two_targets_wait_for_one_passphrase_which_is_never_shown() {
    let world = World::start();
    let mut person = Person::start(&shared(&world));
    let ports = [person.port("one"), person.port("two")];
    let clients: Vec<_> = ports
        .iter()
        .cycle()
        .take(10)
        .map(|port| psql(&world, port).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let key = world.sshd.key_file(Key::Encrypted);
    let question =
        format!("pgferry: passphrase of key file {} (transport bastion): ", key.display());
    person.sees(&question, 1);
    person.types("open barleX\x7fy\n");
    person.sees("pgferry: that is not it; passphrase of key file", 1);
    // What was begun wrong and wiped with Ctrl-U does not count.
    person.types("open bar\x15");
    person.types(&format!("{}\n", world.sshd.passphrase()));
    for client in clients {
        let output = client.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n");
    }
    assert_eq!(succeed(&psql(&world, &ports[0])), "42\n");
    assert_eq!(world.sshd.logins(), 1, "targets of one transport share a bastion connection");
    let screen = person.sees("", 0);
    assert!(!screen.contains(world.sshd.passphrase()) && !screen.contains("barle"), "{screen}");
    assert_eq!(screen.matches("that is not it").count(), 1, "{screen}");
}

#[test]
fn a_client_that_cannot_wait_is_told_and_the_answer_serves_the_next() {
    let world = World::start();
    let config = format!("{}[limits]\ntunnel_open = \"2s\"\n", shared(&world));
    let mut person = Person::start(&config);
    let port = person.port("one");
    let output = run(&psql(&world, &port));
    let error = said(&output);
    assert!(error.contains("pgferry waits at its terminal for the passphrase of /"), "{error}");
    assert!(error.contains("HINT:  type it where pgferry runs, then connect again"), "{error}");
    // The log's line about it has not taken the question off the screen.
    person.sees("(transport bastion): ", 2);
    person.types(&format!("{}\n", world.sshd.passphrase()));
    assert_eq!(succeed(&psql(&world, &port)), "42\n");
}

#[test]
fn ctrl_c_at_the_question_stops_pgferry_and_leaves_the_terminal_as_it_was() {
    let world = World::start();
    let mut person = Person::start(&shared(&world));
    let mut client = psql(&world, &person.port("one")).stderr(Stdio::piped()).spawn().unwrap();
    person.sees("(transport bastion): ", 1);
    person.types("half a pass\x03");
    person.sees("left with 130", 1);
    let screen = person.sees("extproc", 1);
    let (_, modes) = screen.split_once("left with 130").unwrap();
    let on = |mode: &str| modes.split_whitespace().any(|word| word == mode);
    assert!(on("echo") && on("icanon"), "{modes}");
    assert!(!client.wait().unwrap().success());
    assert!(!screen.contains("half"), "{screen}");
}

#[test]
fn without_a_terminal_the_error_names_the_secret_to_configure() {
    let world = World::start();
    let pgferry = Pgferry::start(&shared(&world));
    let error = said(&run(&psql(&world, &pgferry.port("one").to_string())));
    assert!(
        error.contains("is encrypted: the secret \"key_passphrase\" is not granted"),
        "{error}"
    );
    assert!(error.contains("HINT:  configure secrets.key_passphrase"), "{error}");
    assert_eq!(world.sshd.connections(), 0);
}

#[test]
fn targets_with_a_transport_each_do_not_share_a_bastion_connection() {
    let world = World::start();
    let file = world.secret_file("passphrase", world.sshd.passphrase());
    let secrets = format!("secrets = {{ key_passphrase = {{ file = {file:?} }} }}");
    let transport = format!("{{ {}, {secrets} }}", ssh(&world));
    let targets = ["one", "two"].map(|name| target(&world, name, &transport)).concat();
    let pgferry = Pgferry::start(&targets);
    for name in ["one", "two", "one"] {
        assert_eq!(succeed(&psql(&world, &pgferry.port(name).to_string())), "42\n");
    }
    assert_eq!(world.sshd.logins(), 2);
}
