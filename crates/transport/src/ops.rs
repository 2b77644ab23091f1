//! The op table: which answer belongs to which open, and what an answer nobody asked for means.
//! Knows no sockets and calls no plugin.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::connection::{Closed, Connection};
use crate::error::{Failure, OpenError};
use crate::tcp::Limits;

/// What an open ends with.
pub(crate) type Answer = Result<Connection, OpenError>;

/// All ops of one instance.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    table: Mutex<HashMap<u64, State>>,
}

/// Whatever must live until an op is answered or given up: the permit under the instance's cap, the
/// token that keeps the instance from being destroyed.
pub(crate) type Hold = Box<dyn std::any::Any + Send>;

#[derive(Debug)]
enum State {
    /// A create, and what it said before it failed.
    Creating { said: Option<Failure> },
    /// Somebody waits for the answer.
    Opening { answer: oneshot::Sender<Answer>, terms: Terms, hold: Hold, call: Call },
    /// Nobody waits any more; the plugin was asked to stop.
    Cancelling { hold: Hold },
    /// The plugin did not stop in time. Should it answer yet, its socket is closed.
    Abandoned,
    /// Answered with a socket that lives.
    Streaming { closed: oneshot::Sender<Closed> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Queued,
    Made,
}

/// What an op's own dials go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) limits: Limits,
    pub(crate) idle_tunnel: Duration,
}

/// What an answer means.
pub(crate) enum Verdict {
    /// The first answer to an open that somebody waits for.
    Deliver { answer: oneshot::Sender<Answer>, hold: Hold, closed: oneshot::Receiver<Closed> },
    /// Too late: a socket that came with it is closed.
    Late(Hold),
    /// The words of a failing create.
    Create,
    /// The contract does not allow it; a socket that came with it is left alone, because its number
    /// may be another client's by now.
    Violation(&'static str),
}

/// Whether a plugin has to hear of a cancellation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// It knows the op.
    Tell,
    /// It never heard of it, or has answered.
    Nothing,
}

impl Ops {
    /// A number never used before in this process, so that logs of several instances stay apart.
    pub(crate) fn number() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn begin_create(&self) -> u64 {
        let op = Self::number();
        self.lock().insert(op, State::Creating { said: None });
        op
    }

    /// Ends a create; gives what it said.
    pub(crate) fn end_create(&self, op: u64) -> Option<Failure> {
        match self.lock().remove(&op) {
            Some(State::Creating { said }) => said,
            _ => None,
        }
    }

    /// Notes the words of a failing create. The first ones count.
    pub(crate) fn create_said(&self, op: u64, failure: Failure) {
        if let Some(State::Creating { said }) = self.lock().get_mut(&op) {
            said.get_or_insert(failure);
        }
    }

    pub(crate) fn begin(&self, terms: Terms, hold: Hold) -> (u64, oneshot::Receiver<Answer>) {
        let (answer, waiting) = oneshot::channel();
        let op = Self::number();
        self.lock().insert(op, State::Opening { answer, terms, hold, call: Call::Queued });
        (op, waiting)
    }

    /// Called just before the plugin hears of an op. False if it need not any more.
    pub(crate) fn start(&self, op: u64) -> bool {
        match self.lock().get_mut(&op) {
            Some(State::Opening { call, .. }) => {
                *call = Call::Made;
                true
            }
            _ => false,
        }
    }

    /// Takes an answer. `with_socket` says whether it brings a stream.
    pub(crate) fn answer(&self, op: u64, with_socket: WithSocket) -> Verdict {
        let mut table = self.lock();
        match table.remove(&op) {
            None => Verdict::Violation("answered an op that is not open"),
            Some(State::Opening { answer, hold, .. }) => {
                let (closed, reason) = oneshot::channel();
                if with_socket == WithSocket::Yes {
                    table.insert(op, State::Streaming { closed });
                }
                Verdict::Deliver { answer, hold, closed: reason }
            }
            Some(State::Cancelling { hold }) => Verdict::Late(hold),
            Some(State::Abandoned) => Verdict::Late(Box::new(())),
            Some(creating @ State::Creating { .. }) => {
                table.insert(op, creating);
                match with_socket {
                    WithSocket::Yes => Verdict::Violation("answered its create with a socket"),
                    WithSocket::No => Verdict::Create,
                }
            }
            Some(streaming @ State::Streaming { .. }) => {
                table.insert(op, streaming);
                Verdict::Violation("answered an op twice")
            }
        }
    }

    /// Says why a stream ended. Gives the reason back if nobody listens.
    pub(crate) fn close(&self, op: u64, closed: Closed) -> Result<(), Closed> {
        let mut table = self.lock();
        match table.remove(&op) {
            Some(State::Streaming { closed: listener }) => listener.send(closed),
            Some(other) => {
                table.insert(op, other);
                Err(closed)
            }
            None => Err(closed),
        }
    }

    /// Nobody waits for the op any more.
    pub(crate) fn cancel(&self, op: u64) -> Cancel {
        let mut table = self.lock();
        match table.remove(&op) {
            Some(State::Opening { call: Call::Made, hold, .. }) => {
                table.insert(op, State::Cancelling { hold });
                Cancel::Tell
            }
            Some(State::Opening { call: Call::Queued, .. }) | None => Cancel::Nothing,
            Some(other) => {
                table.insert(op, other);
                Cancel::Nothing
            }
        }
    }

    /// Whether the op was cancelled and is not answered yet.
    pub(crate) fn is_cancelling(&self, op: u64) -> bool {
        matches!(self.lock().get(&op), Some(State::Cancelling { .. }))
    }

    /// Stops waiting for the answer to a cancelled op. False if it came.
    pub(crate) fn abandon(&self, op: u64) -> bool {
        let mut table = self.lock();
        match table.get_mut(&op) {
            Some(state @ State::Cancelling { .. }) => {
                *state = State::Abandoned;
                true
            }
            _ => false,
        }
    }

    /// Every open that somebody waits for.
    pub(crate) fn waiting(&self) -> Vec<u64> {
        let table = self.lock();
        let opening = table.iter().filter(|(_, state)| matches!(state, State::Opening { .. }));
        opening.map(|(op, _)| *op).collect()
    }

    /// What a dial on behalf of an op goes by; `None` if the op is over or was cancelled.
    pub(crate) fn terms(&self, op: u64, otherwise: Terms) -> Option<Terms> {
        match self.lock().get(&op)? {
            State::Opening { terms, .. } => Some(*terms),
            State::Streaming { .. } => Some(otherwise),
            State::Creating { .. } | State::Cancelling { .. } | State::Abandoned => None,
        }
    }

    /// When the open that somebody waits for has to be answered.
    pub(crate) fn deadline(&self, op: u64) -> Option<Instant> {
        match self.lock().get(&op)? {
            State::Opening { terms, .. } => Some(terms.limits.deadline),
            _ => None,
        }
    }

    fn forget_stream(&self, op: u64) {
        let mut table = self.lock();
        if matches!(table.get(&op), Some(State::Streaming { .. })) {
            table.remove(&op);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, State>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer brings a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithSocket {
    Yes,
    No,
}

/// Keeps a stream in the table for as long as somebody might ask why it ended.
#[derive(Debug)]
pub(crate) struct StreamGuard {
    pub(crate) ops: Arc<Ops>,
    pub(crate) op: u64,
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.ops.forget_stream(self.op);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::Status;

    fn terms() -> Terms {
        let limits = Limits { deadline: Instant::now(), tcp: Duration::ZERO };
        Terms { limits, idle_tunnel: Duration::ZERO }
    }

    /// An op that the plugin has heard of. Whoever waits for it is in the second place.
    fn made(ops: &Ops) -> (u64, oneshot::Receiver<Answer>) {
        let (op, waiting) = ops.begin(terms(), Box::new(()));
        assert!(ops.start(op));
        (op, waiting)
    }

    fn is_violation(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Violation(_))
    }

    #[test]
    fn an_op_is_answered_once() {
        let ops = Ops::default();
        for with_socket in [WithSocket::Yes, WithSocket::No] {
            let (op, _waiting) = made(&ops);
            assert!(matches!(ops.answer(op, with_socket), Verdict::Deliver { .. }));
            assert!(is_violation(&ops.answer(op, with_socket)));
        }
    }

    #[test]
    fn an_op_that_never_was_cannot_be_answered() {
        assert!(is_violation(&Ops::default().answer(7, WithSocket::Yes)));
    }

    #[test]
    fn an_op_the_plugin_never_heard_of_needs_no_cancel() {
        let ops = Ops::default();
        let (op, _waiting) = ops.begin(terms(), Box::new(()));
        assert_eq!(ops.cancel(op), Cancel::Nothing);
        assert!(!ops.start(op));
    }

    #[test]
    fn the_answer_to_a_cancelled_or_abandoned_op_is_late_not_wrong() {
        let ops = Ops::default();
        let (cancelled, _waiting) = made(&ops);
        let (abandoned, _waiting) = made(&ops);
        assert_eq!((ops.cancel(cancelled), ops.cancel(abandoned)), (Cancel::Tell, Cancel::Tell));
        assert!(ops.abandon(abandoned));
        for op in [cancelled, abandoned] {
            assert!(matches!(ops.answer(op, WithSocket::Yes), Verdict::Late(_)));
            assert!(is_violation(&ops.answer(op, WithSocket::Yes)));
        }
    }

    #[test]
    fn an_answered_op_is_not_abandoned() {
        let ops = Ops::default();
        let (op, _waiting) = made(&ops);
        ops.cancel(op);
        assert!(ops.is_cancelling(op));
        drop(ops.answer(op, WithSocket::No));
        assert!(!ops.abandon(op));
    }

    #[test]
    fn what_an_op_holds_is_let_go_when_it_is_abandoned() {
        let (ops, held) = (Ops::default(), Arc::new(()));
        let (op, _waiting) = ops.begin(terms(), Box::new(Arc::clone(&held)));
        ops.start(op);
        ops.cancel(op);
        assert_eq!(Arc::strong_count(&held), 2);
        ops.abandon(op);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn the_reason_of_an_end_reaches_whoever_holds_the_stream() {
        let ops = Arc::new(Ops::default());
        let (op, _waiting) = made(&ops);
        let Verdict::Deliver { mut closed, .. } = ops.answer(op, WithSocket::Yes) else {
            panic!("the first answer is delivered")
        };
        let reason = Closed { status: Status::Unreachable, message: "gone".to_owned() };
        assert_eq!(ops.close(op, reason.clone()), Ok(()));
        assert_eq!(closed.try_recv(), Ok(reason.clone()));
        assert_eq!(ops.close(op, reason.clone()), Err(reason));
    }

    #[test]
    fn a_dropped_stream_leaves_nothing_behind() {
        let ops = Arc::new(Ops::default());
        let (op, _waiting) = made(&ops);
        drop(ops.answer(op, WithSocket::Yes));
        drop(StreamGuard { ops: Arc::clone(&ops), op });
        assert!(ops.lock().is_empty());
    }
}
