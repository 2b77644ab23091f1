//! PostgreSQL's own programs, with a limit on how long they may take.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Output, Stdio};

/// Seconds; only a program that hangs gets there.
const LIMIT: &str = "120";

/// The same command, ended when it takes too long.
pub(crate) fn limited(command: &Command) -> Command {
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=5", LIMIT]).arg(command.get_program()).args(command.get_args());
    in_environment_of(command, limited)
}

/// The same command at a terminal, which `script` of the package bsdutils makes. What is written to
/// its standard input are keys. None of its words may need quotes. The shell that `script` starts
/// gives its place to the program: one that stays dies of the Ctrl-C that the program survives.
pub(crate) fn at_terminal(command: &Command) -> Command {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().expect("plain words")).collect();
    let mut script = Command::new("script");
    let line = format!("exec {}", words.join(" "));
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    in_environment_of(command, script)
}

/// Ends a query of psql at a terminal with Ctrl-C, then uses the session again and leaves it.
pub(crate) fn ctrl_c_cancels_and_the_session_goes_on(psql: &Command) {
    let mut terminal = limited(&at_terminal(psql));
    let mut terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = BufReader::new(terminal.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut see = |text: &str| {
        let line = screen.find(|line| line.contains(text) && !line.contains("raise"));
        line.unwrap_or_else(|| panic!("the screen never shows {text}"))
    };
    writeln!(keys, "do $$ begin raise notice 'it runs'; perform pg_sleep(3600); end $$;").unwrap();
    see("NOTICE:  it runs");
    keys.write_all(b"\x03").unwrap();
    see("ERROR:  canceling statement due to user request");
    writeln!(keys, "select 'still ' || 'usable';").unwrap();
    see("still usable");
    writeln!(keys, "\\q").unwrap();
    drop(keys);
    assert!(terminal.wait().unwrap().success());
}

fn in_environment_of(command: &Command, mut other: Command) -> Command {
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

/// Runs it to its end, which has to be a good one, and returns what it printed.
pub(crate) fn succeed(command: &Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs it to its end.
pub(crate) fn run(command: &Command) -> Output {
    limited(command).output().expect("timeout, of coreutils, starts")
}
