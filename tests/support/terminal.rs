//! Programs at a terminal.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use super::tool::{in_environment_of, limited};

/// A program at a terminal, with the keys and the screen in the test's hands.
pub(crate) struct Terminal {
    process: Child,
    keys: ChildStdin,
    screen: ChildStdout,
}

impl Terminal {
    pub(crate) fn start(command: &Command) -> Self {
        let mut terminal = limited(&at_terminal(command));
        let mut process = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, screen) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, keys, screen }
    }

    /// Reads until `text` is there, which no line end has to follow, and returns all that was read.
    pub(crate) fn see(&mut self, text: &str) -> String {
        let mut seen = String::new();
        let mut byte = [0];
        while !seen.contains(text) {
            assert_eq!(self.screen.read(&mut byte).unwrap(), 1, "{text} is not in: {seen:?}");
            seen.push(char::from(byte[0]));
        }
        seen
    }

    /// Types a line.
    pub(crate) fn enter(&mut self, line: &str) {
        writeln!(self.keys, "{line}").unwrap();
    }

    /// Leaves, and waits for the program's end.
    pub(crate) fn end(mut self) -> ExitStatus {
        drop(self.keys);
        self.process.wait().unwrap()
    }
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
