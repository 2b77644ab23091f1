//! Statement durations: one set of histograms per target and relay thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::histogram::{Bounds, Cell, Snapshot};
use crate::labels::Outcome;

/// What all targets share: the operations that are told apart and the buckets.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) bounds: Bounds,
    pub(crate) operations: &'static [&'static str],
}

/// Statement durations of one target as seen by one relay thread.
///
/// One thread may call [`record`](Self::record); a second one at the same time would lose samples
/// (nothing worse). Any thread may scrape meanwhile.
#[derive(Debug)]
pub struct QueryHistograms {
    shape: Arc<Shape>,
    /// One cell per operation and outcome, made when the first sample arrives: most targets see
    /// four operations and one outcome.
    cells: Box<[OnceLock<Cell>]>,
}

impl QueryHistograms {
    fn new(shape: Arc<Shape>) -> Self {
        let cells = shape.operations.len() * Outcome::ALL.len();
        Self { shape, cells: (0..cells).map(|_| OnceLock::new()).collect() }
    }

    /// Records one statement: a search over the bounds and two plain stores.
    ///
    /// `operation` is an index into the operations given in the settings; anything beyond the last
    /// counts as the last.
    #[inline]
    pub fn record(&self, operation: usize, outcome: Outcome, nanos: u64) {
        let operation = operation.min(self.shape.operations.len() - 1);
        let index = operation * Outcome::ALL.len() + outcome as usize;
        let Some(cell) = self.cells.get(index) else { return };
        cell.get_or_init(|| self.shape.bounds.cell()).record_alone(&self.shape.bounds, nanos);
    }
}

/// The histograms of one target, over all relay threads.
#[derive(Debug)]
pub(crate) struct TargetQueries {
    shape: Arc<Shape>,
    /// By relay thread; the lock is taken once per session and once per scrape.
    threads: Mutex<BTreeMap<usize, Arc<QueryHistograms>>>,
}

impl TargetQueries {
    pub(crate) fn new(shape: Arc<Shape>) -> Self {
        Self { shape, threads: Mutex::default() }
    }

    /// The histograms that only `relay_thread` writes.
    pub(crate) fn of_thread(&self, relay_thread: usize) -> Arc<QueryHistograms> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let histograms = threads
            .entry(relay_thread)
            .or_insert_with(|| Arc::new(QueryHistograms::new(Arc::clone(&self.shape))));
        Arc::clone(histograms)
    }

    /// Every series that has samples, threads merged: operation, outcome, counts.
    pub(crate) fn series(&self) -> Vec<(&'static str, Outcome, Snapshot)> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let threads: Vec<_> = threads.values().cloned().collect();
        let labels =
            self.shape.operations.iter().flat_map(|operation| {
                Outcome::ALL.iter().map(move |outcome| (*operation, *outcome))
            });
        labels
            .enumerate()
            .filter_map(|(index, (operation, outcome))| {
                let snapshot = self.merged(&threads, index)?;
                Some((operation, outcome, snapshot))
            })
            .collect()
    }

    fn merged(&self, threads: &[Arc<QueryHistograms>], index: usize) -> Option<Snapshot> {
        let mut cells =
            threads.iter().filter_map(|thread| thread.cells.get(index)?.get()).peekable();
        cells.peek()?;
        let mut snapshot = self.shape.bounds.snapshot();
        cells.for_each(|cell| cell.add_to(&mut snapshot));
        Some(snapshot)
    }
}
