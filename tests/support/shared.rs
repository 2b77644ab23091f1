//! One set of servers for the tests of one binary.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A value that tests share while they run side by side: the first one makes it, the last one drops
/// it. So nothing outlives the tests, as the value of a plain `static` would.
pub(crate) struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.upgrade().unwrap_or_else(|| {
            let value = Arc::new(make());
            *kept = Arc::downgrade(&value);
            value
        })
    }
}
