//! What a server said so far, and waiting for it to say something.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crate::error::{Context, Error};

/// A server's log, kept in memory and shared by its clones.
///
/// Waiting is by event: a thread owns the reading end of the server's standard error and wakes the
/// waiters at each line.
#[derive(Clone, Debug)]
pub struct Log {
    program: Arc<str>,
    inner: Arc<Inner>,
}

/// A place in a [`Log`]; lines after it are the ones that are new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    open_streams: usize,
}

impl Log {
    pub(crate) fn new(program: &str) -> Self {
        Self { program: program.into(), inner: Arc::default() }
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// The lines so far as one text.
    pub fn text(&self) -> String {
        self.lock().lines.join("\n")
    }

    /// The lines after `mark` so far.
    pub fn lines_after(&self, mark: Mark) -> Vec<String> {
        self.lock().lines.iter().skip(mark.0).cloned().collect()
    }

    /// How many lines so far contain `text`.
    pub fn count(&self, text: &str) -> usize {
        self.lock().lines.iter().filter(|line| line.contains(text)).count()
    }

    /// The present end of the log.
    pub fn mark(&self) -> Mark {
        Mark(self.lock().lines.len())
    }

    /// Blocks until a line, old or new, contains `text`, and returns the first such line.
    ///
    /// # Errors
    ///
    /// [`Error::Silent`] after `limit`, [`Error::Ended`] when the server ended without saying it.
    pub fn wait_for(&self, text: &str, limit: Duration) -> Result<String, Error> {
        self.wait_for_after(Mark::default(), text, limit)
    }

    /// As [`Self::wait_for`], looking only at lines after `mark`.
    pub fn wait_for_after(&self, mark: Mark, text: &str, limit: Duration) -> Result<String, Error> {
        self.wait_for_any_after(mark, &[text], limit)
    }

    /// As [`Self::wait_for_after`], for the first line that contains any of `texts`.
    pub fn wait_for_any_after(
        &self,
        mark: Mark,
        texts: &[&str],
        limit: Duration,
    ) -> Result<String, Error> {
        let (state, _) = self
            .inner
            .changed
            .wait_timeout_while(self.lock(), limit, |state| {
                state.open_streams > 0 && first_match(state, mark, texts).is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = first_match(&state, mark, texts) {
            return Ok(line.to_owned());
        }
        let program = self.program.to_string();
        let awaited = texts.join("` or `");
        let log = state.lines.join("\n");
        if state.open_streams == 0 {
            return Err(Error::Ended { program, awaited, log });
        }
        Err(Error::Silent { program, awaited, limit, log })
    }

    /// Appends everything `stream` carries until its end, on a thread of its own.
    pub(crate) fn follow(&self, stream: impl Read + Send + 'static) -> Result<(), Error> {
        self.lock().open_streams += 1;
        let log = self.clone();
        let reader = move || {
            // Servers may log bytes that are not UTF-8, such as a mangled user name.
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                log.lock().lines.push(line.trim_end_matches('\r').to_owned());
                log.inner.changed.notify_all();
            }
            log.lock().open_streams -= 1;
            log.inner.changed.notify_all();
        };
        let spawned = thread::Builder::new().name(format!("{} log", self.program)).spawn(reader);
        spawned.map(drop).doing(|| "starting a log thread".to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first_match<'a>(state: &'a State, mark: Mark, texts: &[&str]) -> Option<&'a str> {
    let new = state.lines.iter().skip(mark.0);
    new.map(String::as_str).find(|line| texts.iter().any(|text| line.contains(text)))
}
