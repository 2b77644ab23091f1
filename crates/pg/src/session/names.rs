//! Which operation is behind the name of a prepared statement or portal.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use crate::Operation;

/// Most names of a kind that are remembered. Beyond, a failing operation is called OTHER.
const NAMES_MAX: usize = 4096;

/// A step on the way to `Execute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Parse,
    Bind,
    Describe,
    Close,
}

/// Statements and portals of one session, as the application named them.
#[derive(Debug, Default)]
pub(super) struct Names {
    hasher: RandomState,
    statements: Register,
    portals: Register,
}

impl Names {
    /// Follows a step and tells the operation it is about, as far as that shows.
    pub(super) fn prepare(&mut self, step: Step, body: &[u8]) -> Operation {
        match step {
            Step::Parse => {
                let (name, sql) = split_name(body);
                let operation = operation_of_query(sql);
                self.statements.insert(self.key(name), operation);
                operation
            }
            Step::Bind => {
                let (portal, rest) = split_name(body);
                let (statement, _) = split_name(rest);
                let operation = self.statements.find(self.key(statement));
                self.portals.insert(self.key(portal), operation);
                operation
            }
            Step::Close => {
                let (kind, name) = body.split_first().unwrap_or((&0, &[]));
                let key = self.key(split_name(name).0);
                match kind {
                    b'S' => self.statements.remove(key),
                    b'P' => self.portals.remove(key),
                    _ => {}
                }
                Operation::Other
            }
            Step::Describe => Operation::Other,
        }
    }

    /// The operation of the portal that an `Execute` names.
    pub(super) fn portal(&self, body: &[u8]) -> Operation {
        self.portals.find(self.key(split_name(body).0))
    }

    /// Named portals end with their transaction.
    pub(super) fn transaction_ended(&mut self) {
        self.portals.named.clear();
    }

    /// How many statements and portals are remembered.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn held(&self) -> [usize; 2] {
        [self.statements.named.len(), self.portals.named.len()]
    }

    fn key(&self, name: &[u8]) -> Key {
        if name.is_empty() { Key::Unnamed } else { Key::Named(self.hasher.hash_one(name)) }
    }
}

/// The operation of SQL text that ends with a zero byte, or was cut short.
pub(super) fn operation_of_query(sql: &[u8]) -> Operation {
    Operation::from_sql(split_name(sql).0)
}

/// A name stands for itself by its hash: two names meeting in one would mislabel a failure.
#[derive(Debug, Clone, Copy)]
enum Key {
    Unnamed,
    Named(u64),
}

#[derive(Debug)]
struct Register {
    unnamed: Operation,
    named: HashMap<u64, Operation>,
}

impl Default for Register {
    fn default() -> Self {
        Self { unnamed: Operation::Other, named: HashMap::new() }
    }
}

impl Register {
    fn insert(&mut self, key: Key, operation: Operation) {
        match key {
            Key::Unnamed => self.unnamed = operation,
            Key::Named(hash) => {
                if self.named.len() < NAMES_MAX || self.named.contains_key(&hash) {
                    self.named.insert(hash, operation);
                }
            }
        }
    }

    fn find(&self, key: Key) -> Operation {
        match key {
            Key::Unnamed => self.unnamed,
            Key::Named(hash) => self.named.get(&hash).copied().unwrap_or(Operation::Other),
        }
    }

    fn remove(&mut self, key: Key) {
        match key {
            Key::Unnamed => self.unnamed = Operation::Other,
            Key::Named(hash) => {
                self.named.remove(&hash);
            }
        }
    }
}

fn split_name(body: &[u8]) -> (&[u8], &[u8]) {
    match body.iter().position(|byte| *byte == 0) {
        Some(end) => (body.get(..end).unwrap_or_default(), body.get(end + 1..).unwrap_or_default()),
        None => (body, &[]),
    }
}
