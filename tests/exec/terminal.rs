//! A person at a terminal.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use pgferry_simulators::{Direction, FaultRelay, Role};

use crate::running::Running;
use crate::stage::{Stage, command};
use crate::support::pgferry::write_config;
use crate::support::target::Target;
use crate::support::terminal::{Terminal, at_terminal};
use crate::support::tool::limited;
use crate::support::world::Way;

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
fn a_person_who_waits_for_the_tunnel_is_told_and_the_words_go_away() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let (relay, config) = behind_a_relay(&stage, &directory);
    relay.stall(Direction::TowardsFrontend);
    let mut psql = command(&stage.world, &config, "psql", "slow", &["-XAtq"]);
    psql.env("TERM", "xterm");
    let mut terminal = Terminal::start(&psql);
    terminal.see("pgferry: opening the path to slow (ssh) ...\r");
    relay.resume(Direction::TowardsFrontend);
    assert_eq!(terminal.see("\u{1b}[K"), "\u{1b}[K", "nothing but the words was there");
    terminal.enter("select 'ser' || 'ved';");
    terminal.see("served");
    terminal.enter("\\q");
    assert!(terminal.end().success());
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
