//! Ops: each is answered exactly once.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pgferry_transport_abi::Status;
use tokio_util::sync::CancellationToken;

use crate::{Error, Host};

/// One open, from its start to the end of its stream.
pub(crate) struct Op {
    id: u64,
    host: Host,
    answered: AtomicBool,
    cancelled: CancellationToken,
}

impl Op {
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn host(&self) -> &Host {
        &self.host
    }

    /// Effect: waits until the op was cancelled.
    ///
    /// Cancel safety: nothing is lost.
    pub(crate) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Effect: answers with a socket; a late one is closed instead. Whether it was in time.
    pub(crate) fn succeed(&self, socket: OwnedFd, detail: &str) -> bool {
        let first = self.claim();
        if first {
            self.host.border().op_done(self.id, Ok(socket), detail);
        }
        first
    }

    /// Effect: answers with an error, unless something else answered before.
    pub(crate) fn fail(&self, error: &Error) {
        if self.claim() {
            self.host.border().op_done(self.id, Err(error), &error.detail());
        }
    }

    /// Effect: answers at once, even when the work itself is stuck and can't be dropped.
    fn cancel(&self) {
        self.fail(&Error::cancelled());
        self.cancelled.cancel();
    }

    fn claim(&self) -> bool {
        !self.answered.swap(true, Ordering::AcqRel)
    }
}

/// Answers an op that its task left without an answer.
pub(crate) struct Pending {
    op: Arc<Op>,
    ops: Arc<Ops>,
}

impl Pending {
    pub(crate) const fn new(op: Arc<Op>, ops: Arc<Ops>) -> Self {
        Self { op, ops }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.op.fail(&Error::new(Status::PANIC, "the plugin panicked"));
        }
        self.op.fail(&Error::cancelled());
        self.ops.forget(self.op.id);
    }
}

/// The ops that aren't answered yet.
#[derive(Default)]
pub(crate) struct Ops {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    waiting: HashMap<u64, Arc<Op>>,
    /// Cancels of ops nobody knows: answered long ago, or about to be opened by another thread.
    unknown: VecDeque<u64>,
}

impl Ops {
    /// Effect: starts an op under `parent`, which cancels it too. Already answered when its cancel
    /// overtook it.
    pub(crate) fn start(&self, id: u64, host: Host, parent: &CancellationToken) -> Arc<Op> {
        let (answered, cancelled) = (AtomicBool::new(false), parent.child_token());
        let op = Arc::new(Op { id, host, answered, cancelled });
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let overtaken = table.unknown.contains(&id);
        table.waiting.insert(id, Arc::clone(&op));
        drop(table);
        if overtaken {
            op.cancel();
        }
        op
    }

    /// Effect: cancels one op; does nothing to a stream that is open already.
    pub(crate) fn cancel(&self, id: u64) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let op = table.waiting.get(&id).cloned();
        if op.is_none() {
            table.unknown.truncate(REMEMBERED - 1);
            table.unknown.push_front(id);
        }
        drop(table);
        if let Some(op) = op {
            op.cancel();
        }
    }

    /// Effect: cancels all that wait.
    pub(crate) fn cancel_all(&self) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting: Vec<_> = table.waiting.values().cloned().collect();
        drop(table);
        for op in waiting {
            op.cancel();
        }
    }

    /// Effect: an op that was answered is nobody's to cancel any more.
    pub(crate) fn forget(&self, id: u64) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&id);
    }
}

/// How many cancels of unknown ops are kept. They only matter for the moment between the host's
/// decision to open and the entry.
const REMEMBERED: usize = 64;
