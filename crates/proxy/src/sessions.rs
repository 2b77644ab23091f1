//! The sessions of one target, over all its reloads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::route::Route;
use crate::cancel_keys::CancelKeys;
use crate::target::Target;

/// What a target keeps when its settings change: its sessions go on.
#[derive(Default)]
pub(crate) struct Sessions {
    pub(crate) cancel_keys: CancelKeys<Taken>,
    open: AtomicUsize,
    unsettled: Mutex<Option<Instant>>,
}

/// How long after a sign of a restart or failover its consequences are expected.
const UNSETTLED_FOR: Duration = Duration::from_mins(1);

/// The path that a session took.
pub(crate) struct Taken {
    pub(crate) target: Arc<Target>,
    pub(crate) route: Route,
}

/// A place that a session takes; free again when dropped.
pub(crate) struct Place(Arc<Sessions>);

impl Sessions {
    /// Notes a sign that the database restarts or changes its place.
    pub(crate) fn unsettle(&self) {
        *self.unsettled.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether there was such a sign lately.
    pub(crate) fn unsettled(&self) -> bool {
        let since = *self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < UNSETTLED_FOR)
    }

    /// Takes a place, if fewer than `most` are taken.
    pub(crate) fn place(self: &Arc<Self>, most: usize) -> Option<Place> {
        let more = |open| (open < most).then_some(open + 1);
        let taken = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_a_restart_counts_for_a_while() {
        let sessions = Sessions::default();
        assert!(!sessions.unsettled());
        sessions.unsettle();
        assert!(sessions.unsettled());
        tokio::time::advance(UNSETTLED_FOR).await;
        assert!(!sessions.unsettled());
    }

    #[test]
    fn there_are_as_many_places_as_the_limit_of_the_moment_says() {
        let sessions = Arc::<Sessions>::default();
        let first = sessions.place(2).unwrap();
        let _second = sessions.place(2).unwrap();
        assert!(sessions.place(2).is_none());
        let _third = sessions.place(3).unwrap();
        drop(first);
        assert!(sessions.place(2).is_none(), "two are left of three");
        assert!(sessions.place(3).is_some());
    }
}
