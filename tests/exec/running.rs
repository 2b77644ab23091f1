//! A command under way.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A command with both ends in the test's hands.
pub(crate) struct Running {
    pub(crate) process: Child,
    pub(crate) stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { stdin: process.stdin.take(), lines, process }
    }

    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("another line").expect("text")
    }

    pub(crate) fn see(&mut self, text: &str) {
        while !self.line().contains(text) {}
    }

    pub(crate) fn environment(&mut self) -> BTreeMap<String, String> {
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty()));
        let pair = |line: String| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        lines.filter_map(pair).collect()
    }

    pub(crate) fn write(&mut self, keys: &str) {
        self.stdin.as_mut().unwrap().write_all(keys.as_bytes()).expect("it reads");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.process.id().cast_signed()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Ends its input. Gives the exit code and what it still printed.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        drop(self.stdin.take());
        let rest = self.lines.by_ref().map(|line| line.expect("text")).collect();
        (self.process.wait().expect("it ends").code(), rest)
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
