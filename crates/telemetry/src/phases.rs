//! How long each phase of connection set-up took, for one target and transport.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::histogram::{Bounds, Cell, Snapshot, nanos};
use crate::labels::{Phase, PhaseOutcome};

#[derive(Debug)]
pub(crate) struct PhaseHistograms {
    bounds: Arc<Bounds>,
    cells: Box<[OnceLock<Cell>]>,
}

impl PhaseHistograms {
    pub(crate) fn new(bounds: Arc<Bounds>) -> Self {
        let cells = Phase::ALL.len() * PhaseOutcome::ALL.len();
        Self { bounds, cells: (0..cells).map(|_| OnceLock::new()).collect() }
    }

    pub(crate) fn record(&self, phase: Phase, outcome: PhaseOutcome, elapsed: Duration) {
        let Some(cell) = self.cells.get(index(phase, outcome)) else { return };
        cell.get_or_init(|| self.bounds.cell()).record_shared(&self.bounds, nanos(elapsed));
    }

    /// Every series that has samples.
    pub(crate) fn series(&self) -> Vec<(Phase, PhaseOutcome, Snapshot)> {
        let all = Phase::ALL
            .iter()
            .flat_map(|phase| PhaseOutcome::ALL.iter().map(move |outcome| (*phase, *outcome)));
        all.filter_map(|(phase, outcome)| {
            let cell = self.cells.get(index(phase, outcome))?.get()?;
            let mut snapshot = self.bounds.snapshot();
            cell.add_to(&mut snapshot);
            Some((phase, outcome, snapshot))
        })
        .collect()
    }
}

const fn index(phase: Phase, outcome: PhaseOutcome) -> usize {
    phase as usize * PhaseOutcome::ALL.len() + outcome as usize
}
