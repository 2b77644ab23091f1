//! What is counted for one target.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Counter;

use crate::catalog;
use crate::connection::ConnectionGuard;
use crate::exporter::Exporter;
use crate::labels::{
    CancelResult, CloseReason, Direction, Origin, Phase, PhaseOutcome, Severity, Side,
};
use crate::phases::PhaseHistograms;
use crate::queries::{QueryHistograms, TargetQueries};
use crate::sql_state;

/// The handles of one target, label sets resolved once. Shared by all its connections.
#[derive(Debug)]
pub struct TargetMetrics {
    names: Names,
    exporter: Exporter,
    timings: Arc<Timings>,
    phases: PhaseHistograms,
    bytes: IoCounters,
    closed: Vec<Counter>,
    cancels: Vec<Counter>,
    /// Whether the path stands, once that is known.
    tunnel: Mutex<Option<bool>>,
}

impl TargetMetrics {
    pub(crate) fn new(
        names: Names,
        exporter: Exporter,
        timings: Arc<Timings>,
        phases: PhaseHistograms,
    ) -> Self {
        let target = names.target.as_str();
        let closed = CloseReason::ALL.iter().map(|reason| {
            exporter.counter(&catalog::CLIENT_CONNECTIONS_CLOSED, &[target, reason.label()])
        });
        let cancels = CancelResult::ALL
            .iter()
            .map(|result| exporter.counter(&catalog::CANCEL_REQUESTS, &[target, result.label()]));
        let (closed, cancels) = (closed.collect(), cancels.collect());
        let bytes = IoCounters::new(&exporter, target);
        let tunnel = Mutex::default();
        Self { names, exporter, timings, phases, bytes, closed, cancels, tunnel }
    }

    /// The statement histograms that only relay thread `relay_thread` may write.
    pub fn queries(&self, relay_thread: usize) -> Arc<QueryHistograms> {
        self.timings.queries.of_thread(relay_thread)
    }

    /// Declares a listener, so that its series begin at 0 before anybody connects.
    pub fn listener(&self, listener: &str) {
        let labels = [self.names.target.as_str(), listener];
        drop(self.exporter.counter(&catalog::CLIENT_CONNECTIONS_OPENED, &labels));
        drop(self.exporter.gauge(&catalog::CLIENT_CONNECTIONS, &labels));
    }

    /// Counts an accepted connection, and its end when the guard goes.
    pub fn connection_opened(self: &Arc<Self>, listener: &str) -> ConnectionGuard {
        let labels = [self.names.target.as_str(), listener];
        self.exporter.counter(&catalog::CLIENT_CONNECTIONS_OPENED, &labels).increment(1);
        let open = self.exporter.gauge(&catalog::CLIENT_CONNECTIONS, &labels);
        ConnectionGuard::new(Arc::clone(self), open)
    }

    /// Records how long a phase of connection set-up took.
    pub fn phase(&self, phase: Phase, outcome: PhaseOutcome, elapsed: Duration) {
        self.phases.record(phase, outcome, elapsed);
    }

    /// Counts a connection that failed in `phase`. `reason` is a word from the caller's closed set.
    pub fn connect_failed(&self, phase: Phase, reason: &'static str) {
        let labels = [self.names.target.as_str(), phase.label(), reason];
        self.exporter.counter(&catalog::CONNECT_FAILURES, &labels).increment(1);
    }

    /// Counts an error sent to an application. Rare SQLSTATEs are folded into their class.
    pub fn error(&self, severity: Severity, sql_state: &str, origin: Origin) {
        let code = sql_state::folded(sql_state);
        let labels = [self.names.target.as_str(), severity.label(), code, origin.label()];
        self.exporter.counter(&catalog::ERRORS, &labels).increment(1);
    }

    /// The byte counters.
    pub const fn bytes(&self) -> &IoCounters {
        &self.bytes
    }

    /// Adds time spent blocked on an application that does not read.
    pub fn stall(&self, nanos: u64) {
        self.timings.stall_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Counts a cancel request.
    pub fn cancel(&self, result: CancelResult) {
        if let Some(counter) = self.cancels.get(result as usize) {
            counter.increment(1);
        }
    }

    /// Says whether the path to the database stands; `None` if that is not known, or not any more.
    pub fn tunnel(&self, up: impl Into<Option<bool>>) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = up.into();
    }

    pub(crate) fn tunnel_up(&self) -> Option<bool> {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connection_closed(&self, reason: CloseReason) {
        if let Some(counter) = self.closed.get(reason as usize) {
            counter.increment(1);
        }
    }

    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) const fn phases(&self) -> &PhaseHistograms {
        &self.phases
    }
}

/// Which target, over which transport.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Names {
    pub(crate) target: String,
    pub(crate) transport: String,
}

/// The times of one target whatever its transport.
#[derive(Debug)]
pub(crate) struct Timings {
    pub(crate) queries: TargetQueries,
    stall_nanos: AtomicU64,
}

impl Timings {
    pub(crate) const fn new(queries: TargetQueries) -> Self {
        Self { queries, stall_nanos: AtomicU64::new(0) }
    }

    pub(crate) fn stall_nanos(&self) -> u64 {
        self.stall_nanos.load(Ordering::Relaxed)
    }
}

/// Bytes through one target. Cheap to clone: four handles.
#[derive(Debug, Clone)]
pub struct IoCounters {
    client_rx: Counter,
    client_tx: Counter,
    server_rx: Counter,
    server_tx: Counter,
}

impl IoCounters {
    fn new(exporter: &Exporter, target: &str) -> Self {
        let counter = |side: Side, direction: Direction| {
            exporter.counter(&catalog::IO_BYTES, &[target, side.label(), direction.label()])
        };
        Self {
            client_rx: counter(Side::Client, Direction::Rx),
            client_tx: counter(Side::Client, Direction::Tx),
            server_rx: counter(Side::Server, Direction::Rx),
            server_tx: counter(Side::Server, Direction::Tx),
        }
    }

    /// Adds `bytes`: one atomic addition.
    #[inline]
    pub fn io(&self, side: Side, direction: Direction, bytes: u64) {
        let counter = match (side, direction) {
            (Side::Client, Direction::Rx) => &self.client_rx,
            (Side::Client, Direction::Tx) => &self.client_tx,
            (Side::Server, Direction::Rx) => &self.server_rx,
            (Side::Server, Direction::Tx) => &self.server_tx,
        };
        counter.increment(bytes);
    }
}
