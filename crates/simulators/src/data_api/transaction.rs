//! Transactions between calls.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    refusal::{database_error, transaction_not_found},
    request::Request,
    session::Session,
};
use crate::aws::{principal::random, reply::Failure};

/// A transaction, and the session that is its own.
pub(super) struct Transaction {
    pub(super) id: String,
    resource: String,
    /// As named when it began.
    database: Option<String>,
    /// Locked while a call runs in it; none once it has ended.
    pub(super) session: tokio::sync::Mutex<Option<Session>>,
    times: Mutex<Times>,
}

#[derive(Clone, Copy)]
struct Times {
    began: u64,
    used: u64,
}

/// All of them, and why others are gone.
#[derive(Default)]
pub(super) struct Transactions {
    open: HashMap<String, Arc<Transaction>>,
    ended: HashMap<String, End>,
}

/// Why there is no such transaction any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    Expired,
    Aborted,
}

impl Transaction {
    pub(super) fn new(request: &Request, session: Session, now: u64) -> Arc<Self> {
        Arc::new(Self {
            id: random(ID_LENGTH),
            resource: request.resource.clone(),
            database: request.database.clone(),
            session: tokio::sync::Mutex::new(Some(session)),
            times: Mutex::new(Times { began: now, used: now }),
        })
    }

    /// To be called when a call in it ends.
    pub(super) fn used(&self, now: u64) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).used = now;
    }

    /// Whether it has been idle, or open, for too long.
    pub(super) fn is_over(&self, now: u64) -> bool {
        let times = *self.times.lock().unwrap_or_else(PoisonError::into_inner);
        now >= times.used + IDLE_LIMIT.as_secs() || now >= times.began + LIFE_LIMIT.as_secs()
    }
}

impl Transactions {
    pub(super) fn add(&mut self, transaction: Arc<Transaction>) {
        self.open.insert(transaction.id.clone(), transaction);
    }

    pub(super) fn find(&self, id: &str, request: &Request) -> Result<Arc<Transaction>, Failure> {
        let ended = self.ended.get(id);
        let found = self.open.get(id).filter(|_| ended.is_none()).ok_or_else(|| {
            let why = match ended {
                Some(End::Finished) => "it was ended by a previous call.",
                Some(End::Expired) => "it has expired.",
                Some(End::Aborted) => "it was aborted by an earlier error.",
                None => "there was none.",
            };
            transaction_not_found(id, why)
        })?;
        if found.resource != request.resource {
            return Err(transaction_not_found(id, "it belongs to another cluster."));
        }
        let other = request.database.is_some() && request.database != found.database;
        if other {
            return Err(database_error("Database name is not the same as transaction's database."));
        }
        Ok(found.clone())
    }

    /// Has it found no more, though it is open until it is ended.
    pub(super) fn expire(&mut self, id: &str) {
        if self.is_open(id) {
            self.ended.insert(id.to_owned(), End::Expired);
        }
    }

    pub(super) fn end(&mut self, id: &str, end: End) {
        if self.open.remove(id).is_some() {
            self.ended.insert(id.to_owned(), end);
        }
    }

    pub(super) fn is_open(&self, id: &str) -> bool {
        self.open.contains_key(id)
    }

    pub(super) fn count(&self) -> usize {
        self.open.len()
    }
}

/// Source: the reference of `BeginTransaction`.
const IDLE_LIMIT: Duration = Duration::from_mins(3);
const LIFE_LIMIT: Duration = Duration::from_hours(24);
const ID_LENGTH: usize = 184;
