//! How long each phase of a connection took, for the metrics and for its log line.

use std::fmt;
use std::time::Duration;

use pgferry_telemetry::{Phase, PhaseOutcome, TargetMetrics};
use tokio::time::Instant;

use crate::error::ConnectionError;

/// The phases that are over.
#[derive(Debug, Default)]
pub(super) struct Timings(Vec<(Phase, Duration)>);

impl Timings {
    /// Waits for a phase and records how long it took, for the metrics also if it fails.
    ///
    /// Cancel safety: that of `work`; a dropped phase is not recorded.
    pub(super) async fn phase<T>(
        &mut self,
        metrics: &TargetMetrics,
        phase: Phase,
        work: impl Future<Output = Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        let began = Instant::now();
        let outcome = work.await;
        match &outcome {
            Ok(_) => self.passed(metrics, phase, began.elapsed()),
            Err(error) => Self::failed(metrics, phase, began.elapsed(), error),
        }
        outcome
    }

    /// Records a phase that succeeded.
    pub(super) fn passed(&mut self, metrics: &TargetMetrics, phase: Phase, took: Duration) {
        metrics.phase(phase, PhaseOutcome::Ok, took);
        self.0.push((phase, took));
    }

    /// Records a phase that failed, and the connection with it.
    pub(super) fn failed(
        metrics: &TargetMetrics,
        phase: Phase,
        took: Duration,
        error: &ConnectionError,
    ) {
        metrics.phase(phase, PhaseOutcome::Error, took);
        metrics.connect_failed(phase, error.label());
    }
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (phase, took)) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}={:.1}ms", phase.label(), took.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}
