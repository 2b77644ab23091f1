//! A child process that cannot outlive its owner.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
};

use crate::{
    error::{Context, Error},
    log::Log,
};

/// A running program, its descendants and its log.
///
/// Dropping it ends the program and everything it started. The same happens when this process
/// dies in any way: a small shell beside the program holds one end of a pipe whose other end
/// is here, and acts when the pipe closes.
#[derive(Debug)]
pub struct Process {
    name: String,
    keeper: Child,
    // Closed by dropping it; a line on it ends the program and leaves its directory alone.
    lifeline: Option<ChildStdin>,
    end: BufReader<ChildStdout>,
    root: Pid,
}

/// How a program is asked to end before it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// Not at all.
    Kill,
    /// SIGQUIT, with five seconds to react: PostgreSQL's immediate shutdown, which gives its shared
    /// memory back.
    Quit,
    /// SIGTERM, with five seconds to react.
    Terminate,
}

impl Process {
    /// Starts `command` with its standard output and error going to `log`.
    ///
    /// `directory` is removed if this process dies without dropping the value.
    pub(crate) fn start(
        command: &Command,
        grace: Grace,
        directory: &Path,
        log: &Log,
    ) -> Result<Self, Error> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut keeper = keeper(command, grace, directory)
            .spawn()
            .doing(|| format!("starting setsid and /bin/sh to keep {name}"))?;
        let (Some(stdout), Some(stderr)) = (keeper.stdout.take(), keeper.stderr.take()) else {
            unreachable!("both streams were asked to be piped");
        };
        log.follow(stderr)?;
        let lifeline = keeper.stdin.take();
        let mut end = BufReader::new(stdout);
        let mut line = String::new();
        end.read_line(&mut line).doing(|| format!("learning the process id of {name}"))?;
        let root = line.trim().parse().ok().and_then(Pid::from_raw).ok_or_else(|| {
            Error::Ended { program: name.clone(), awaited: "a process id".into(), log: log.text() }
        })?;
        Ok(Self { name, keeper, lifeline, end, root })
    }

    /// Runs any program this way: output to the returned [`Log`], gone when dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when no process can be made. A program that does not exist shows as a line in
    /// the log and an early end.
    pub fn run(command: &Command, grace: Grace) -> Result<(Self, Log), Error> {
        Self::run_in(command, grace, Path::new(""))
    }

    /// As [`Self::run`]; `directory` is removed if this process dies without dropping the value.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub fn run_in(command: &Command, grace: Grace, directory: &Path) -> Result<(Self, Log), Error> {
        let log = Log::new(&command.get_program().to_string_lossy());
        let process = Self::start(command, grace, directory, &log)?;
        Ok((process, log))
    }

    /// The process id of the program itself.
    pub fn id(&self) -> u32 {
        self.root.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends one signal to the program, not to its descendants.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        kill_process(self.root, signal).doing(|| format!("signalling {}", self.name))
    }

    /// Stops the program and all its descendants without a word: connections stay open, nothing
    /// moves.
    pub fn freeze(&self) -> Result<(), Error> {
        self.signal_tree(Signal::STOP)
    }

    /// Undoes [`Self::freeze`].
    pub fn thaw(&self) -> Result<(), Error> {
        self.signal_tree(Signal::CONT)
    }

    /// Blocks until the program has ended by itself, or by a signal sent before.
    ///
    /// # Errors
    ///
    /// [`Error::StillRunning`] after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<i32>, Error> {
        let timeout = Timespec {
            tv_sec: limit.as_secs().cast_signed(),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        // The shell's standard output ends with it: no clock and no polling is needed.
        let mut end = [PollFd::new(self.end.get_ref(), PollFlags::IN)];
        let ready =
            poll(&mut end, Some(&timeout)).doing(|| format!("waiting for {}", self.name))?;
        if ready == 0 {
            return Err(Error::StillRunning { program: self.name.clone(), limit });
        }
        let status = self.keeper.wait().doing(|| format!("waiting for {}", self.name))?;
        self.lifeline = None;
        Ok(status.code())
    }

    /// Ends the program and all its descendants, and returns when they are gone.
    pub fn end(mut self) {
        // A closed pipe means that the program has ended already.
        if let Some(lifeline) = &mut self.lifeline {
            lifeline.write_all(b"end\n").ok();
        }
        self.finish();
    }

    fn finish(&mut self) {
        let Some(lifeline) = self.lifeline.take() else { return };
        if matches!(self.keeper.try_wait(), Ok(None)) {
            // A frozen program would only react to its signal after the whole grace period.
            self.thaw().ok();
        }
        drop(lifeline);
        self.keeper.wait().ok();
    }

    fn signal_tree(&self, signal: Signal) -> Result<(), Error> {
        // The parent first, so that it starts no further children while they are looked up.
        self.signal(signal)?;
        for child in descendants(self.id()) {
            // It may have ended in between.
            if let Some(child) = Pid::from_raw(child.cast_signed()) {
                kill_process(child, signal).ok();
            }
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.finish();
    }
}

fn keeper(command: &Command, grace: Grace, directory: &Path) -> Command {
    // A session of its own: neither a Ctrl-C at the terminal nor the hang-up that the kernel sends to
    // stopped jobs of a dead owner may reach the keeper.
    let mut keeper = Command::new("setsid");
    keeper
        .args(["/bin/sh", "-c", include_str!("keeper.sh"), "keeper"])
        .arg(directory)
        .arg(grace.signal());
    keeper.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => keeper.env(name, value),
            None => keeper.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        keeper.current_dir(directory);
    }
    keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    keeper
}

impl Grace {
    fn signal(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
            Self::Terminate => "TERM",
        }
    }
}

/// All processes below `root`, parents before children.
fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, parent(process)?)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&above) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(child, _)| child));
        next += 1;
    }
    found.split_off(1)
}

fn parent(process: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
