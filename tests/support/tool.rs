//! PostgreSQL's own programs, with a limit on how long they may take.

use std::process::{Command, Output};

/// Seconds; only a program that hangs gets there.
const LIMIT: &str = "120";

/// The same command, ended when it takes too long.
pub(crate) fn limited(command: &Command) -> Command {
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=5", LIMIT]).arg(command.get_program()).args(command.get_args());
    in_environment_of(command, limited)
}

/// `other` with the variables that were set for `command`.
pub(crate) fn in_environment_of(command: &Command, mut other: Command) -> Command {
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
