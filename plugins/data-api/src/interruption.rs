//! Cancel requests: they come on a connection of their own and name the session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pgferry_pg::CancelKey;
use tokio::sync::Notify;

/// How a session's statement is interrupted.
#[derive(Debug, Default)]
pub(crate) struct Interruption {
    asked: Notify,
}

impl Interruption {
    /// Waits until somebody asks for it.
    ///
    /// Cancel safety: nothing is lost.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }
}

/// The sessions that can be interrupted.
#[derive(Debug, Default)]
pub(crate) struct Interruptions {
    sessions: Mutex<HashMap<u32, (CancelKey, Arc<Interruption>)>>,
}

/// A session's place among them, until it is dropped.
pub(crate) struct Place {
    all: Arc<Interruptions>,
    process_id: u32,
}

impl Interruptions {
    /// Enters a session under its key. None: its process id is taken.
    pub(crate) fn enter(self: &Arc<Self>, key: &CancelKey) -> Option<(Place, Arc<Interruption>)> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.contains_key(&key.process_id()) {
            return None;
        }
        let interruption = Arc::new(Interruption::default());
        sessions.insert(key.process_id(), (key.clone(), Arc::clone(&interruption)));
        let place = Place { all: Arc::clone(self), process_id: key.process_id() };
        Some((place, interruption))
    }

    /// Interrupts the session with this key, if it runs a statement. Whether there is one, nobody is told.
    pub(crate) fn interrupt(&self, key: &CancelKey) {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, interruption)) = sessions.get(&key.process_id())
            && known == key
        {
            interruption.asked.notify_waiters();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sessions = self.all.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&self.process_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(process_id: u32, secret: &[u8]) -> CancelKey {
        CancelKey::new(process_id, secret).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_secret_interrupts_a_session() {
        let all = Arc::new(Interruptions::default());
        let (_place, interruption) = all.enter(&key(7, b"ABCD")).unwrap();
        let mut asked = Box::pin(interruption.asked());
        assert!(futures(&mut asked).is_pending());
        all.interrupt(&key(7, b"ABCE"));
        all.interrupt(&key(8, b"ABCD"));
        assert!(futures(&mut asked).is_pending());
        all.interrupt(&key(7, b"ABCD"));
        asked.await;
    }

    #[test]
    fn a_session_that_ended_is_forgotten() {
        let all = Arc::new(Interruptions::default());
        let entered = all.enter(&key(7, b"ABCD"));
        assert!(all.enter(&key(7, b"EFGH")).is_none());
        drop(entered);
        assert!(all.enter(&key(7, b"EFGH")).is_some());
    }

    fn futures(future: &mut (impl Future<Output = ()> + Unpin)) -> std::task::Poll<()> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::Pin::new(future).poll(&mut context)
    }
}
