//! Streams from the transport beneath that broke: so that an error says which layer it was.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::connection::CloseReason;

/// What broke last beneath one instance.
#[derive(Clone, Debug)]
pub(crate) struct Losses {
    last: watch::Sender<Option<Loss>>,
    watched: Arc<Mutex<VecDeque<AbortHandle>>>,
}

#[derive(Clone, Debug)]
struct Loss {
    at: Instant,
    words: String,
}

impl Losses {
    pub(crate) fn new() -> Self {
        Self { last: watch::channel(None).0, watched: Arc::default() }
    }

    /// Notes the reason why a stream from beneath ends, once it does and has one.
    pub(crate) fn watch(&self, mut stream: CloseReason, runtime: &Handle) {
        let last = self.last.clone();
        let watching = runtime.spawn(async move {
            if let Some(closed) = stream.wait(FOREVER).await
                && !closed.message.is_empty()
            {
                last.send_replace(Some(Loss { at: Instant::now(), words: closed.message }));
            }
        });
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|task| !task.is_finished());
        // A plugin that hands its socket over need not say that the stream ended.
        if watched.len() >= MOST_WATCHED
            && let Some(oldest) = watched.pop_front()
        {
            oldest.abort();
        }
        watched.push_back(watching.abort_handle());
    }

    /// Adds to a message what broke beneath at the same time. The news from beneath may come a little
    /// later, so it waits for them, `limit` at most.
    ///
    /// Which stream belongs to which of the upper layer's, only that layer knows; the time has to do.
    ///
    /// Cancel safety: dropping the future loses nothing.
    pub(crate) async fn explain(&self, message: String, limit: Duration) -> String {
        let mut last = self.last.subscribe();
        let recent = last.wait_for(|last| last.as_ref().is_some_and(Loss::is_recent));
        match timeout(limit, recent).await {
            Ok(Ok(loss)) => match loss.as_ref() {
                Some(loss) if !message.contains(&loss.words) => {
                    format!("{message}; beneath it: {}", loss.words)
                }
                _ => message,
            },
            _ => message,
        }
    }
}

impl Loss {
    fn is_recent(&self) -> bool {
        self.at.elapsed() < SAME_TIME
    }
}

const MOST_WATCHED: usize = 256;
/// How far apart the end of a stream and the end of what it carried may be noticed.
const SAME_TIME: Duration = Duration::from_secs(1);
const FOREVER: Duration = Duration::from_hours(876_000);

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{Closed, Status};

    fn broken(words: &str) -> Closed {
        Closed { status: Status::Internal, message: words.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_broke_beneath_is_added_if_it_broke_at_the_same_time() {
        let losses = Losses::new();
        let (tell, reason) = oneshot::channel();
        losses.watch(CloseReason::listening(reason, None), &Handle::current());
        assert_eq!(losses.explain("up".to_owned(), SAME_TIME).await, "up");
        tell.send(broken("down")).unwrap();
        assert_eq!(losses.explain("up".to_owned(), SAME_TIME).await, "up; beneath it: down");
        assert_eq!(losses.explain("up: down".to_owned(), SAME_TIME).await, "up: down");
        tokio::time::advance(SAME_TIME).await;
        assert_eq!(losses.explain("up".to_owned(), SAME_TIME).await, "up");
    }

    #[tokio::test]
    async fn streams_that_never_say_that_they_ended_do_not_pile_up() {
        let losses = Losses::new();
        let senders: Vec<_> = (0..2 * MOST_WATCHED)
            .map(|_| {
                let (tell, reason) = oneshot::channel();
                losses.watch(CloseReason::listening(reason, None), &Handle::current());
                tell
            })
            .collect();
        assert_eq!(losses.watched.lock().unwrap().len(), MOST_WATCHED);
        drop(senders);
    }
}
