//! A process that asks AWS what it is told to: this test binary, started again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child as Process, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use pgferry_simulators::Aws;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::answers::MARK;

/// Longer than the SDK tries: a call ends after 20 s.
const LIMIT: Duration = Duration::from_mins(1);

/// Ends when it is dropped.
pub(crate) struct Child {
    process: Process,
    questions: Option<ChildStdin>,
    lines: Receiver<String>,
    pub(crate) home: TempDir,
}

impl Child {
    /// With the keys of the user who may do everything.
    pub(crate) fn with_keys(aws: &Aws) -> Self {
        Self::of(&aws.envs(), &[])
    }

    /// Who has the files alone, and `AWS_PROFILE`.
    pub(crate) fn with_profile(aws: &Aws, profile: &str) -> Self {
        Self::of(&aws.envs_without_keys(), &[("AWS_PROFILE", profile)])
    }

    pub(crate) fn of(envs: &[(&'static str, String)], more: &[(&str, &str)]) -> Self {
        let home = TempDir::new().unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["answers::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .envs(envs.iter().map(|(name, value)| (*name, value)))
            .envs(more.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let Some((_, answer)) = line.split_once(MARK) else { continue };
                if sender.send(answer.to_owned()).is_err() {
                    return;
                }
            }
        });
        let questions = process.stdin.take();
        Self { process, questions, lines, home }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Who AWS says it is: `sts:GetCallerIdentity`.
    pub(crate) fn who(&mut self) -> Answer {
        self.ask("who", &json!({}))
    }

    pub(crate) fn credentials(&mut self) -> Answer {
        self.ask("credentials", &json!({}))
    }

    /// `fields` are those of the identity, and `name`.
    pub(crate) fn ask(&mut self, what: &str, fields: &Value) -> Answer {
        let mut question = fields.clone();
        question["ask"] = what.into();
        let questions = self.questions.as_mut().unwrap();
        writeln!(questions, "{question}").unwrap();
        let line = self.lines.recv_timeout(LIMIT).expect("the child answers");
        Answer(serde_json::from_str(&line).expect("JSON"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Without questions it ends by itself; whoever fails does not wait for that.
        drop(self.questions.take());
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[derive(Debug)]
pub(crate) struct Answer(Value);

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        match self.0.get("ok") {
            Some(value) => value.clone(),
            None => panic!("{}", self.0),
        }
    }

    #[track_caller]
    pub(crate) fn text(self) -> String {
        let value = self.ok();
        value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
    }

    /// Kind, text and hint of an error, which is of the `kind` given.
    #[track_caller]
    pub(crate) fn error(self, kind: &str) -> (String, String) {
        let text = |name| self.0[name].as_str().unwrap_or_default().to_owned();
        assert!(text("kind").starts_with(kind), "{kind}: {}", self.0);
        (text("text"), text("hint"))
    }
}
