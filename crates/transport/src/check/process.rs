//! What a plugin can change or use up in the process around it.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::{Seen, ensure, fail};

/// Process-wide state that is none of a plugin's business.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProcessState {
    environment: BTreeMap<OsString, OsString>,
    directory: Option<PathBuf>,
    locale: Option<String>,
    umask: Option<String>,
    signals: Vec<usize>,
    stdout: Option<String>,
}

impl ProcessState {
    pub(super) fn now() -> Self {
        Self {
            environment: std::env::vars_os().collect(),
            directory: std::env::current_dir().ok(),
            locale: locale(),
            umask: status("Umask:"),
            signals: (1..=31).map(disposition).collect(),
            stdout: stdout(),
        }
    }

    /// 21: nothing has changed since.
    pub(super) fn unchanged(&self) -> Seen {
        let now = Self::now();
        let changes = [
            ("the environment", self.environment != now.environment),
            ("the working directory", self.directory != now.directory),
            ("the locale", self.locale != now.locale),
            ("the umask", self.umask != now.umask),
            ("signal dispositions", self.signals != now.signals),
            ("standard output", self.stdout != now.stdout),
        ];
        let what: Vec<_> =
            changes.iter().filter(|(_, changed)| *changed).map(|(what, _)| *what).collect();
        if what.is_empty() {
            return Ok(
                "environment, directory, locale, umask, signals and stdout are as before".into()
            );
        }
        Err(fail(format!("it changed {}", what.join(", "))))
    }
}

/// What can leak.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    descriptors: Option<usize>,
    threads: Option<usize>,
    resident: Option<usize>,
}

impl Usage {
    /// What is used once threads have stopped to come and go.
    pub(super) async fn at_rest() -> Self {
        const PATIENCE: usize = 40;
        let mut seen = Self::now();
        for _ in 0..PATIENCE {
            // Longer than the host keeps an idle thread.
            tokio::time::sleep(Duration::from_millis(250)).await;
            let now = Self::now();
            if now.threads == seen.threads && now.descriptors == seen.descriptors {
                break;
            }
            seen = now;
        }
        seen
    }

    fn now() -> Self {
        Self { descriptors: descriptors(), threads: threads(), resident: resident() }
    }

    /// Waits until descriptors and threads are back where they were, give or take two, and memory
    /// has not grown by more than 8 MiB.
    pub(super) async fn restored_within(self, limit: Duration) -> Seen {
        eventually(limit, || Self::now().exceeds(self).is_none()).await;
        let now = Self::now();
        match now.exceeds(self) {
            Some(what) => {
                Err(fail(format!("{what} within {limit:?}: {self:?} before, {now:?} after")))
            }
            None => Ok(format!("descriptors, threads and memory are back: {now}")),
        }
    }

    fn exceeds(self, before: Self) -> Option<&'static str> {
        const SLACK: usize = 2;
        const MEMORY: usize = 8 * 1024 * 1024;
        let grew = |now: Option<usize>, then: Option<usize>, by| {
            now.zip(then).is_some_and(|(now, then)| now > then + by)
        };
        if grew(self.descriptors, before.descriptors, SLACK) {
            Some("descriptors did not come back")
        } else if grew(self.threads, before.threads, SLACK) {
            Some("threads did not end")
        } else if grew(self.resident, before.resident, MEMORY) {
            Some("memory did not come back")
        } else {
            None
        }
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |value: Option<usize>| value.map_or_else(|| "?".to_owned(), |n| n.to_string());
        write!(f, "{} descriptors, {} threads", number(self.descriptors), number(self.threads))
    }
}

/// Looks again and again until it holds or the time is over. Gives whether it holds.
pub(super) async fn eventually(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}

/// A flaw when something took longer than it may.
pub(super) fn in_time(what: &str, begun: Instant, limit: Duration) -> Result<(), super::Flaw> {
    let took = begun.elapsed();
    ensure(took <= limit, || format!("{what} took {took:.1?}, more than {limit:?}"))
}

/// The threads of this process, where the system tells.
pub(super) fn threads() -> Option<usize> {
    status("Threads:")?.parse().ok()
}

fn descriptors() -> Option<usize> {
    std::fs::read_dir("/dev/fd").ok().map(Iterator::count)
}

fn resident() -> Option<usize> {
    let text = status("VmRSS:")?;
    let kilobytes: usize = text.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Source: `proc_pid_status(5)`.
fn status(field: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().to_owned())
}

/// The file behind it.
fn stdout() -> Option<String> {
    let stat = rustix::fs::fstat(std::io::stdout()).ok()?;
    Some(format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn locale() -> Option<String> {
    // SAFETY: without a name it only asks.
    #[expect(unsafe_code, reason = "std knows no locale")]
    let name = unsafe { libc::setlocale(libc::LC_ALL, std::ptr::null()) };
    if name.is_null() {
        return None;
    }
    // SAFETY: a NUL-terminated string, valid until the locale is changed.
    #[expect(unsafe_code, reason = "std knows no locale")]
    let name = unsafe { CStr::from_ptr(name) };
    Some(name.to_string_lossy().into_owned())
}

/// The address of a signal's handler, or the number that stands for one.
fn disposition(signal: i32) -> usize {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action it only asks, and writes the answer where there is room for it.
    #[expect(unsafe_code, reason = "std knows no signals")]
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroed, which is a valid action, or written by the call.
    #[expect(unsafe_code, reason = "std knows no signals")]
    let action = unsafe { action.assume_init() };
    if asked == 0 { action.sa_sigaction } else { usize::MAX }
}
