//! A line at the terminal for a person who waits for a path to open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::terminal::Remark;

/// What takes no longer needs no words.
const PATIENCE: Duration = Duration::from_millis(500);

/// What to say.
pub(crate) struct Progress {
    words: Arc<str>,
}

/// An open that is under way.
pub(crate) struct Opening {
    shown: Arc<Mutex<Shown>>,
    timer: Option<AbortHandle>,
}

enum Shown {
    NotYet,
    Now(#[expect(dead_code, reason = "it is there to be dropped")] Option<Remark>),
    NoMore,
}

impl Progress {
    pub(crate) fn new(words: &str) -> Self {
        Self { words: words.into() }
    }

    /// Says it after a while, until what this gives is dropped.
    pub(crate) fn begin(&self) -> Opening {
        let shown = Arc::new(Mutex::new(Shown::NotYet));
        let timer = Handle::try_current().ok().map(|runtime| {
            let (words, shown) = (Arc::clone(&self.words), Arc::clone(&shown));
            let timer = runtime.spawn(async move {
                sleep(PATIENCE).await;
                let mut shown = lock(&shown);
                if matches!(*shown, Shown::NotYet) {
                    *shown = Shown::Now(Remark::begin(&words));
                }
            });
            timer.abort_handle()
        });
        Opening { shown, timer }
    }
}

impl Drop for Opening {
    /// At once, and not when the timer's task is next run: the client speaks next.
    fn drop(&mut self) {
        *lock(&self.shown) = Shown::NoMore;
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
