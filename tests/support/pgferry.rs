//! The real binary as a child process.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pgferry_simulators::{Aws, Grace, Log, Mark, Process};
use rustix::process::Signal;
use tempfile::TempDir;

use super::PATIENCE;

/// A running `pgferry run`. Dropping it ends it.
pub(crate) struct Pgferry {
    process: Process,
    log: Log,
    directory: TempDir,
    targets: Vec<(String, String)>,
    admin: Option<String>,
}

/// An admin listener on a port of its own.
pub(crate) const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

/// The binary under test.
pub(crate) fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pgferry"))
}

/// Runs the binary to its end.
pub(crate) fn pgferry(arguments: &[&str]) -> Output {
    binary().args(arguments).output().expect("the binary starts")
}

/// Writes a configuration that only its owner can read.
pub(crate) fn write_config(directory: &Path, text: &str) -> PathBuf {
    let file = directory.join("pgferry.toml");
    fs::write(&file, text).expect("the configuration can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("and made private");
    file
}

impl Pgferry {
    /// Starts with a configuration and waits until every target listens.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, |_| {})
    }

    /// As [`Self::start`]; `adjust` may add arguments and environment.
    pub(crate) fn start_with(config: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = write_config(directory.path(), config);
        let mut command = binary();
        command.env("PGFERRY_LOG_LEVEL", "debug").args(["run", "--config"]).arg(&file);
        adjust(&mut command);
        let (process, log) = Process::run(&command, Grace::Terminate).expect("the binary starts");
        let mut started = Self { process, log, directory, targets: Vec::new(), admin: None };
        let expected = config.lines().filter(|line| line.starts_with("[targets.")).count();
        started.wait_until_ready(expected);
        started
    }

    /// As [`Self::start`], as one of the users of a simulated AWS.
    pub(crate) fn start_in(aws: &Aws, config: &str) -> Self {
        Self::start_with(config, |command| {
            command.envs(aws.envs()).env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
        })
    }

    fn wait_until_ready(&mut self, targets: usize) {
        let mut mark = None;
        while self.ready_targets() < targets {
            let line = match mark {
                None => self.log.wait_for("ready: target ", PATIENCE),
                Some(mark) => self.log.wait_for_after(mark, "ready: target ", PATIENCE),
            };
            line.expect("a ready line for each target");
            mark = Some(self.log.mark());
            self.targets = self.log.lines().iter().filter_map(|line| ready(line)).collect();
        }
        let lines = self.log.lines();
        self.admin = lines.iter().find_map(|line| {
            Some(line.split_once("admin on http://")?.1.split_whitespace().next()?.to_owned())
        });
    }

    /// How many targets have said that they listen; one may say so for several addresses.
    fn ready_targets(&self) -> usize {
        self.targets.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len()
    }

    /// Writes another configuration, has it read, and waits for the verdict: the line that says what
    /// has changed, or why nothing has.
    pub(crate) fn reload(&mut self, config: &str) -> String {
        write_config(self.directory.path(), config);
        let mark = self.log.mark();
        self.process.signal(Signal::HUP).expect("it takes the signal");
        let verdict = self.log.wait_for_any_after(mark, &[" reloaded: ", "not reloaded"], PATIENCE);
        self.note_new_listeners(mark);
        verdict.expect("a verdict")
    }

    fn note_new_listeners(&mut self, mark: Mark) {
        let new: Vec<_> =
            self.log.lines_after(mark).iter().filter_map(|line| ready(line)).collect();
        self.targets.retain(|(name, _)| !new.iter().any(|(new, _)| new == name));
        self.targets.extend(new);
    }

    /// The address of a target's first listener.
    pub(crate) fn address(&self, target: &str) -> &str {
        let found = self.targets.iter().find(|(name, _)| name == target);
        &found.expect("the target is configured").1
    }

    /// The port of a target's first listener.
    pub(crate) fn port(&self, target: &str) -> u16 {
        let port = self.address(target).rsplit(':').next().expect("a TCP address");
        port.parse().expect("a port")
    }

    /// What `GET path` on the admin listener answers: the status and the body.
    pub(crate) fn admin(&self, path: &str) -> (u16, String) {
        use std::io::{Read as _, Write as _};

        let address = self.admin.as_deref().expect("an [admin] table in the configuration");
        let mut stream = std::net::TcpStream::connect(address).expect("the admin listener");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
            .expect("the request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("a whole answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a header");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// The value of one series of `/metrics`, written as `name{label="value",…}` in the order of
    /// the exposition; `None` if it is not there.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let (_, text) = self.admin("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// Waits until a series has the value: sessions are counted after their last word.
    pub(crate) fn await_metric(&self, series: &str, value: f64) {
        let began = tokio::time::Instant::now();
        while self.metric(series) != Some(value) {
            let (_, metrics) = self.admin("/metrics");
            assert!(began.elapsed() < PATIENCE, "{series} is not {value}: {metrics}");
        }
    }

    /// Its log.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Its process, for signals.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// A private directory that goes with it.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

fn ready(line: &str) -> Option<(String, String)> {
    let mut words = line.split_once("ready: target ")?.1.split(' ');
    let name = words.next()?.to_owned();
    let address = words.nth(1)?.to_owned();
    Some((name, address))
}
