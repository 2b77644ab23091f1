//! One child of an `exec` transport, from its start to its end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::Shutdown;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::stderr::{LastLine, follow};
use crate::Status;
use crate::connection::Closed;
use crate::socket::{Blocking, pair, set_blocking};

/// A child that runs, with its end of the pair still open on our side.
///
/// That end is closed when the child has been reaped and not before. So whoever has the other end
/// reads the end of the stream only when the reason is known; and a hang-up here means that the
/// other end was closed.
pub(crate) struct Running {
    child: Child,
    group: Option<Pid>,
    end: AsyncFd<OwnedFd>,
    said: LastLine,
    listening: Option<JoinHandle<()>>,
    who: Who,
}

/// How messages about a child begin and whom they name.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// The instance.
    pub(crate) instance: String,
    /// `transport corp (exec 0.1.0): `
    pub(crate) prefix: String,
    /// The program, as configured.
    pub(crate) program: String,
    /// The target's host and port.
    pub(crate) to: String,
}

impl Running {
    /// Starts a command on one end of a new pair; gives the other one, non-blocking. Has to be called
    /// within a runtime, and blocks until the program runs.
    pub(crate) fn start(mut command: Command, who: Who) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = pair()?;
        set_blocking(&ours, Blocking::No)?;
        command
            .stdin(Stdio::from(theirs.try_clone()?))
            .stdout(Stdio::from(theirs.try_clone()?))
            .stderr(Stdio::piped())
            // Signals of a terminal are for pgferry, and ours for everything the command started.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        // SAFETY: an `OwnedFd` is open and the same descriptor for as long as it lives, and nothing
        // takes it out of the `AsyncFd`.
        #[expect(unsafe_code, reason = "for types that may change their descriptor")]
        let registered = unsafe { AsyncFd::register_with_interest(theirs, HANG_UP) };
        let end = registered?;
        let said = LastLine::default();
        let listening = child.stderr.take().map(|stderr| {
            let (instance, to) = (who.instance.clone(), who.to.clone());
            tokio::spawn(follow(stderr, said.clone(), instance, to))
        });
        Ok((Self { child, group, end, said, listening, who }, ours))
    }

    /// Waits for its end or brings it about, then says why and closes.
    pub(crate) async fn attend(mut self, ending: CancellationToken, tell: oneshot::Sender<Closed>) {
        let closed = tokio::select! {
            biased;
            () = hang_up(&self.end) => {
                let status = self.end_within(GRACE).await;
                self.over(&status);
                Closed { status: Status::Ok, message: String::new() }
            }
            () = ending.cancelled() => {
                let status = self.end_within(Duration::ZERO).await;
                self.over(&status);
                Closed {
                    status: Status::Cancelled,
                    message: format!("{}shutting down", self.who.prefix),
                }
            }
            status = self.child.wait() => self.left(status).await,
        };
        // Nobody listens any more when the stream was closed.
        drop(tell.send(closed));
        // Whoever inherited the other duplicates must not keep the stream open.
        if let Err(error) = rustix::net::shutdown(self.end.get_ref(), Shutdown::Both)
            && error != Errno::NOTCONN
        {
            tracing::debug!(instance = self.who.instance, %error, "a pair was not shut down");
        }
    }

    /// Gives the child some time, then asks it, then ends it.
    async fn end_within(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        if let Ok(status) = timeout(grace, self.child.wait()).await {
            return status;
        }
        self.signal(Signal::TERM);
        if let Ok(status) = timeout(GRACE, self.child.wait()).await {
            return status;
        }
        let Who { instance, program, to, .. } = &self.who;
        tracing::warn!(instance, to, program, "the command does not end when asked, and is killed");
        self.signal(Signal::KILL);
        self.child.wait().await
    }

    /// The child left by itself: the reason, as the session's error tells it.
    async fn left(&mut self, status: io::Result<ExitStatus>) -> Closed {
        if let Some(listening) = &mut self.listening {
            // What it started may hold its standard error open.
            drop(timeout(LAST_WORDS, listening).await);
        }
        self.over(&status);
        let Who { prefix, program, .. } = &self.who;
        let how = outcome(&status);
        let words = self.said.get().map(|line| format!(": {line}")).unwrap_or_default();
        let closed_status = match status {
            Ok(status) if status.success() => Status::Unreachable,
            _ => Status::Internal,
        };
        Closed { status: closed_status, message: format!("{prefix}{program} {how}{words}") }
    }

    /// The leader of the group is gone; so are those it left behind.
    fn over(&self, status: &io::Result<ExitStatus>) {
        let Who { instance, program, to, .. } = &self.who;
        tracing::debug!(instance, to, program, how = outcome(status), "a command ended");
        self.signal(Signal::TERM);
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }

    fn signal(&self, signal: Signal) {
        let Some(group) = self.group else { return };
        match kill_process_group(group, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                tracing::warn!(instance = self.who.instance, %error, "a command cannot be ended");
            }
        }
    }
}

/// Completes when the other end has been closed; data and a half close do not count.
async fn hang_up(end: &AsyncFd<OwnedFd>) {
    while let Ok(mut ready) = end.ready(HANG_UP).await {
        let ready_now = ready.ready();
        if ready_now.is_read_closed() && HANG_UP_READS || ready_now.is_write_closed() {
            return;
        }
        ready.clear_ready();
    }
}

fn outcome(status: &io::Result<ExitStatus>) -> String {
    match status {
        Err(error) => format!("cannot be waited for: {error}"),
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exited with status {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        },
    }
}

/// A hang-up is always reported; this asks for nothing else that ever happens, so that the bytes of
/// a session wake nobody up here.
#[cfg(target_os = "linux")]
const HANG_UP: Interest = Interest::PRIORITY;
#[cfg(not(target_os = "linux"))]
const HANG_UP: Interest = Interest::WRITABLE;
/// Without an interest in reading, it means both directions.
const HANG_UP_READS: bool = cfg!(target_os = "linux");

/// What a child has to leave by itself when its stream was closed, and again when it was asked.
const GRACE: Duration = Duration::from_secs(2);
/// What is left on a standard error that somebody else holds open.
const LAST_WORDS: Duration = Duration::from_millis(100);
