//! Standard output and standard error. What is asked for goes to the first, everything else to the
//! second.

use std::fmt;
use std::io::{self, Write as _};

/// Prints a line that was asked for. A reader that has gone (`| head`) ends nothing.
pub(crate) fn line(text: impl fmt::Display) {
    writeln!(io::stdout().lock(), "{text}").ok();
}

/// Prints JSON that was asked for.
pub(crate) fn json(value: &serde_json::Value) {
    line(format_args!("{value:#}"));
}

/// Says what went wrong.
pub(crate) fn complain(what: impl fmt::Display) {
    let mut stderr = io::stderr().lock();
    // Words of a file or a server may be among it, and no terminal has to obey them.
    let what: String =
        what.to_string().split('\n').map(pgferry_config::shown).collect::<Vec<_>>().join("\n");
    let written = if colour(&stderr) {
        writeln!(stderr, "\x1b[1;31merror:\x1b[0m {what}")
    } else {
        writeln!(stderr, "error: {what}")
    };
    // There is nowhere left to complain.
    written.ok();
}

/// Says something beside what was asked for.
pub(crate) fn remark(what: impl fmt::Display) {
    writeln!(io::stderr().lock(), "{what}").ok();
}

/// Says what should be known, though it stops nothing.
pub(crate) fn warn(what: impl fmt::Display) {
    let mut stderr = io::stderr().lock();
    let written = if colour(&stderr) {
        writeln!(stderr, "\x1b[1;33mwarning:\x1b[0m {what}")
    } else {
        writeln!(stderr, "warning: {what}")
    };
    // There is nowhere left to say it.
    written.ok();
}

/// A tick or a cross, in colour on a terminal.
pub(crate) fn verdict(passed: bool) -> &'static str {
    match (colour(&io::stdout()), passed) {
        (true, true) => "\x1b[32mok\x1b[0m  ",
        (true, false) => "\x1b[31mFAIL\x1b[0m",
        (false, true) => "ok  ",
        (false, false) => "FAIL",
    }
}

/// Colours are for terminals, and for people who did not decline them (<https://no-color.org>).
pub(crate) fn colour(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
