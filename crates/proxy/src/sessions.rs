//! The sessions of one target, over all its reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cancel_keys::CancelKeys;
use crate::target::Target;

/// What a target keeps when its settings change: its sessions go on.
#[derive(Default)]
pub(crate) struct Sessions {
    pub(crate) cancel_keys: CancelKeys<Arc<Target>>,
    open: AtomicUsize,
}

/// A place that a session takes; free again when dropped.
pub(crate) struct Place(Arc<Sessions>);

impl Sessions {
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
