//! A command that runs in the foreground in pgferry's place.
//!
//! It is in the same process group, as in `env` or `nice`: what the terminal sends (Ctrl-C, Ctrl-Z,
//! a hang-up) reaches it by itself. What somebody sends to pgferry alone is passed on. pgferry stops
//! when its child stops, so that the shell gets the terminal back, and never ends before it.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, waitpid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::exfiltrator::origin::Origin;
use signal_hook::low_level::siginfo::Cause;

/// Signals that pgferry outlives and its child hears of.
const PASSED_ON: [c_int; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP];

/// A running child and the signals of this process.
pub(crate) struct Child {
    id: Pid,
    signals: SignalsInfo<WithOrigin>,
}

impl Child {
    /// Starts the command. Signals that this process was told to ignore, as by `nohup`, stay ignored
    /// by both.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let ignored = ignored();
        let heard = PASSED_ON.into_iter().filter(|signal| !ignored.contains(signal));
        // Before the child is there, so that none is lost.
        let signals = SignalsInfo::new(heard.chain([SIGCHLD]))?;
        let process = command.spawn()?;
        let id = Pid::from_raw(process.id().cast_signed()).ok_or(io::ErrorKind::Other)?;
        Ok(Self { id, signals })
    }

    /// Blocks until the child has ended, and gives its exit code as a shell does: 128 + n for
    /// signal n.
    pub(crate) fn wait(mut self) -> io::Result<u8> {
        loop {
            let origins: Vec<Origin> = self.signals.wait().collect();
            for origin in origins.iter().filter(|origin| origin.signal != SIGCHLD) {
                self.pass_on(origin);
            }
            let changed = waitpid(Some(self.id), WaitOptions::NOHANG | WaitOptions::UNTRACED)?;
            let Some((_, status)) = changed else { continue };
            if let Some(code) = exit_code(status) {
                return Ok(code);
            }
            if status.stopped() {
                self.stop_too(status);
            }
        }
    }

    fn pass_on(&self, origin: &Origin) {
        let from_child =
            origin.process.as_ref().is_some_and(|by| by.pid == self.id.as_raw_nonzero().get());
        // Its own signal to the whole group has reached it already.
        if is_from_terminal(origin) || from_child {
            return;
        }
        if let Some(signal) = Signal::from_named_raw(origin.signal) {
            self.signal(signal);
        }
    }

    /// Stops this process until somebody continues it, then the child too.
    fn stop_too(&self, status: WaitStatus) {
        let by_hand = status.stopping_signal() == Some(Signal::STOP.as_raw());
        // Without a terminal there is no shell that would continue us.
        if by_hand && File::open("/dev/tty").is_err() {
            return;
        }
        if kill_process(getpid(), Signal::STOP).is_ok() {
            self.signal(Signal::CONT);
        }
    }

    fn signal(&self, signal: Signal) {
        // It may have ended in between: the next look says so.
        kill_process(self.id, signal).ok();
    }
}

/// Whether the terminal has sent it, to the child as well. Systems that do not say who sent a signal
/// are believed to have had it from the keyboard, where there is a key for it.
fn is_from_terminal(origin: &Origin) -> bool {
    match origin.cause {
        Cause::Kernel => true,
        Cause::Unknown => matches!(origin.signal, SIGINT | SIGQUIT | SIGTSTP),
        _ => false,
    }
}

fn exit_code(status: WaitStatus) -> Option<u8> {
    let ended_by = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(ended_by).and_then(|code| u8::try_from(code).ok())
}

/// The signals that this process ignores.
/// Source: `proc_pid_status(5)`, `SigIgn`. Other systems than Linux do not tell: none.
fn ignored() -> Vec<c_int> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    PASSED_ON.into_iter().filter(|signal| mask & (1 << (signal - 1)) != 0).collect()
}
