//! The shapes of statements that are known: of all sessions of a database, and of one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::order::ParameterType;
use crate::shape::Shape;

/// What a shape depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) sql: String,
    /// How the types of the parameters are written.
    pub(crate) types: Vec<String>,
    /// What the session has set, like `search_path`.
    pub(crate) settings: Vec<(String, String)>,
}

/// With the time when it was learnt.
type Learnt<T> = HashMap<Key, (Instant, Arc<T>)>;

/// What a database's sessions have learnt together.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    known: Mutex<Learnt<Shape>>,
    parameters: Mutex<Learnt<[ParameterType]>>,
}

/// What one session knows.
#[derive(Debug)]
pub(crate) struct Shapes {
    shared: Arc<Shared>,
    /// Learnt inside a transaction that changes tables.
    own: HashMap<Key, Arc<Shape>>,
    /// This transaction changes tables: what others have learnt does not hold here.
    alone: bool,
}

impl Shared {
    fn clear(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.parameters.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Shapes {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, own: HashMap::new(), alone: false }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Shape>> {
        if let Some(shape) = self.own.get(key) {
            return Some(Arc::clone(shape));
        }
        let known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (learnt, shape) = known.get(key).filter(|_| !self.alone)?;
        (learnt.elapsed() < VALID).then(|| Arc::clone(shape))
    }

    /// Whether what others have learnt holds here, and what is learnt here for others.
    pub(crate) fn are_shared(&self) -> bool {
        !self.alone
    }

    pub(crate) fn learn(&mut self, key: Key, shape: &Arc<Shape>) {
        if self.alone {
            self.own.insert(key, Arc::clone(shape));
            return;
        }
        let mut known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, (Instant::now(), Arc::clone(shape)));
    }

    /// The types of a statement's parameters; the key's own types are those the application said.
    pub(crate) fn parameters(&self, key: &Key) -> Option<Arc<[ParameterType]>> {
        let known = self.shared.parameters.lock().unwrap_or_else(PoisonError::into_inner);
        let (learnt, types) = known.get(key).filter(|_| !self.alone)?;
        (learnt.elapsed() < VALID).then(|| Arc::clone(types))
    }

    pub(crate) fn learn_parameters(&mut self, key: Key, types: Arc<[ParameterType]>) {
        if self.alone {
            return;
        }
        let mut known = self.shared.parameters.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, (Instant::now(), types));
    }

    /// A statement changed tables or types, or one was not what it was thought to be.
    pub(crate) fn forget(&mut self) {
        self.own.clear();
        self.alone = true;
        self.shared.clear();
    }

    /// The transaction has ended.
    pub(crate) fn end(&mut self) {
        if self.alone {
            self.shared.clear();
        }
        self.own.clear();
        self.alone = false;
    }
}

/// Other programs change tables, too.
const VALID: Duration = Duration::from_mins(5);
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(sql: &str) -> Key {
        Key { sql: sql.to_owned(), types: Vec::new(), settings: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_session_learns_all_know_for_a_while() {
        let shared = Arc::new(Shared::default());
        let mut one = Shapes::new(Arc::clone(&shared));
        let two = Shapes::new(shared);
        one.learn(key("select 1"), &Arc::default());
        one.learn_parameters(key("select 1"), Arc::default());
        assert!(two.get(&key("select 1")).is_some());
        assert!(two.parameters(&key("select 1")).is_some());
        tokio::time::advance(VALID).await;
        assert!(two.get(&key("select 1")).is_none());
        assert!(two.parameters(&key("select 1")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_transaction_learns_of_its_own_tables_ends_with_it() {
        let shared = Arc::new(Shared::default());
        let mut one = Shapes::new(Arc::clone(&shared));
        let mut two = Shapes::new(shared);
        one.forget();
        one.learn(key("a"), &Arc::default());
        two.learn(key("b"), &Arc::default());
        assert!(one.get(&key("a")).is_some() && two.get(&key("a")).is_none());
        assert!(one.get(&key("b")).is_none());
        one.end();
        assert!(one.get(&key("a")).is_none() && two.get(&key("b")).is_none());
    }
}
