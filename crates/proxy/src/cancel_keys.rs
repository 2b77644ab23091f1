//! Our own cancel keys, and which backend each stands for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pgferry_pg::CancelKey;
use pgferry_pg::startup::ProtocolVersion;

use crate::backend::identity::Identity;

/// The keys of the sessions that run now, by process id. `P` is the path to a backend.
pub(crate) struct CancelKeys<P>(Mutex<Table<P>>);

type Table<P> = HashMap<u32, Vec<Arc<Entry<P>>>>;

impl<P> Default for CancelKeys<P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

struct Entry<P> {
    /// What the application holds.
    ours: CancelKey,
    meant: Arc<Meant<P>>,
}

/// What a session shares with cancel requests for it.
pub(crate) struct Meant<P> {
    /// What the database wants to see.
    pub(crate) theirs: CancelKey,
    /// The server it is for.
    pub(crate) server: Identity,
    pub(crate) activity: Arc<Activity>,
    /// The session's own: after a reload or a failover new ones may go elsewhere.
    pub(crate) path: P,
}

/// Odd while a query runs; a new number for each one. Written by the session's relay alone.
#[derive(Debug, Default)]
pub(crate) struct Activity(AtomicU64);

impl Activity {
    pub(crate) fn set(&self, activity: u64) {
        self.0.store(activity, Ordering::Release);
    }

    /// The number of the query that runs, if one does.
    pub(crate) fn running(&self) -> Option<u64> {
        let activity = self.0.load(Ordering::Acquire);
        (activity % 2 == 1).then_some(activity)
    }
}

/// A registered session; gone from the table when dropped.
pub(crate) struct Registered<'a, P> {
    keys: &'a CancelKeys<P>,
    entry: Arc<Entry<P>>,
}

impl<P> Registered<'_, P> {
    /// The key that goes to the application.
    pub(crate) fn key(&self) -> &CancelKey {
        &self.entry.ours
    }
}

impl<P> Drop for Registered<'_, P> {
    fn drop(&mut self) {
        let mut keys = self.keys.lock();
        let process_id = self.entry.ours.process_id();
        if let Some(entries) = keys.get_mut(&process_id) {
            entries.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
            if entries.is_empty() {
                keys.remove(&process_id);
            }
        }
    }
}

impl<P> CancelKeys<P> {
    /// Makes a key for a session. It carries the backend's own process id, which applications
    /// compare with that of notifications, and a secret of ours.
    pub(crate) fn register(&self, meant: Meant<P>, version: ProtocolVersion) -> Registered<'_, P> {
        let mut keys = self.lock();
        let process_id = meant.theirs.process_id();
        let entries = keys.entry(process_id).or_default();
        let ours = loop {
            let ours = CancelKey::generate(process_id, &rand::random(), version);
            if entries.iter().all(|entry| entry.ours != ours) {
                break ours;
            }
        };
        let entry = Arc::new(Entry { ours, meant: Arc::new(meant) });
        entries.push(Arc::clone(&entry));
        drop(keys);
        Registered { keys: self, entry }
    }

    /// The session that holds `key`.
    pub(crate) fn find(&self, key: &CancelKey) -> Option<Arc<Meant<P>>> {
        let keys = self.lock();
        let entry = keys.get(&key.process_id())?.iter().find(|entry| entry.ours == *key)?;
        Some(Arc::clone(&entry.meant))
    }

    fn lock(&self) -> MutexGuard<'_, Table<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theirs() -> CancelKey {
        CancelKey::new(42, &[1, 2, 3, 4]).unwrap()
    }

    fn meant() -> Meant<()> {
        let (server, activity) = (Identity::default(), Arc::default());
        Meant { theirs: theirs(), server, activity, path: () }
    }

    #[test]
    fn a_key_is_found_while_its_session_lives_and_not_after() {
        let keys = CancelKeys::default();
        let session = keys.register(meant(), ProtocolVersion::V3_0);
        let ours = session.key().clone();
        assert_ne!(ours, theirs(), "the database's own key stays here");
        assert_eq!(ours.process_id(), 42);
        assert!(keys.find(&ours).is_some());
        assert!(keys.find(&theirs()).is_none());
        drop(session);
        assert!(keys.find(&ours).is_none());
        assert!(keys.lock().is_empty());
    }

    #[test]
    fn two_backends_with_one_process_id_are_told_apart_by_their_secret() {
        let keys = CancelKeys::default();
        let one = keys.register(meant(), ProtocolVersion::V3_2);
        let two = keys.register(meant(), ProtocolVersion::V3_2);
        let found = keys.find(two.key()).unwrap();
        assert!(Arc::ptr_eq(&found, &two.entry.meant));
        assert!(!Arc::ptr_eq(&found, &one.entry.meant));
    }

    #[test]
    fn only_a_running_query_can_be_cancelled() {
        let activity = Activity::default();
        assert_eq!(activity.running(), None);
        activity.set(1);
        assert_eq!(activity.running(), Some(1));
        activity.set(2);
        assert_eq!(activity.running(), None);
    }
}
