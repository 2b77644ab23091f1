//! Exit codes, and the last line on standard error that goes with a bad one.

use std::fmt;
use std::process::ExitCode;

use crate::output;

/// Exit codes. Those from 64 on are sysexits.h's; 128 + n is a shell's word for signal n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Ok = 0,
    /// A check found something.
    Failed = 1,
    /// Wrong arguments.
    Usage = 64,
    /// A configuration that cannot be run.
    Config = 65,
    /// An address is taken or cannot be bound.
    Unavailable = 69,
    /// A fault of pgferry or the system.
    Internal = 70,
    /// A plugin cannot be loaded.
    Plugin = 78,
    /// A command that cannot be executed: a shell's code.
    NotExecutable = 126,
    /// A command that is not found: a shell's code.
    NotFound = 127,
    /// Ended because its terminal was closed, after the drain.
    HungUp = 129,
    /// Ended by SIGINT, after the drain.
    Interrupted = 130,
    /// Ended by SIGTERM, after the drain.
    Terminated = 143,
}

/// The table for `--help`.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    done
  1    a check failed
  64   wrong arguments
  65   the configuration cannot be run
  69   an address is taken or cannot be bound
  70   a fault of pgferry or of the system
  78   a plugin cannot be loaded
  126  exec, psql: the command cannot be executed
  127  exec, psql: the command is not found
  129  ended because its terminal was closed, after the drain
  130  ended by SIGINT, after the drain
  143  ended by SIGTERM, after the drain
exec and psql end with the code of their command, which may be any.";

/// Why a command ends early.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// A failure with every cause of `error` in its text, each once: some errors repeat theirs.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        let mut message = String::new();
        for cause in error.into().chain().map(ToString::to_string) {
            if !message.contains(&cause) {
                let colon = if message.is_empty() { "" } else { ": " };
                message = message + colon + &cause;
            }
        }
        Self { exit, message }
    }

    /// Says it on standard error.
    pub(crate) fn tell(self) -> Exit {
        output::complain(&self);
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A child's exit code, or that of the failure to have one.
pub(crate) fn of_child(outcome: Result<u8, Failure>) -> ExitCode {
    outcome.map_or_else(|failure| failure.tell().into(), ExitCode::from)
}

/// Shows clap's words: help and version are no failures.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    // A closed pipe is nobody's fault here.
    error.print().ok();
    if error.use_stderr() { Exit::Usage } else { Exit::Ok }
}
