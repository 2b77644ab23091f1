//! How long each phase of a connection took, for the metrics and for its log line.

use std::fmt;
use std::time::Duration;

use pgferry_telemetry::{Phase, PhaseOutcome, TargetMetrics};
use tokio::time::Instant;

use crate::backend::login::LoggedIn;
use crate::error::ConnectionError;

/// The phases that are over. A phase that was tried again stands there several times.
#[derive(Debug, Default)]
pub(super) struct Timings {
    passed: Vec<(Phase, Duration)>,
    /// The one that failed last.
    failed: Option<Phase>,
}

impl Timings {
    /// Waits for a phase and records how long it took, also if it fails.
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
            Err(_) => self.failed(metrics, phase, began.elapsed()),
        }
        outcome
    }

    /// Records the two phases of a login, of which the first one ends where the credential was accepted.
    pub(super) fn login(
        &mut self,
        metrics: &TargetMetrics,
        began: Instant,
        outcome: &Result<LoggedIn, ConnectionError>,
    ) {
        match outcome {
            Ok(LoggedIn { authenticated_at, .. }) => {
                self.passed(metrics, Phase::Auth, *authenticated_at - began);
                self.passed(metrics, Phase::Parameters, authenticated_at.elapsed());
            }
            Err(_) => self.failed(metrics, Phase::Auth, began.elapsed()),
        }
    }

    /// Records a phase that succeeded.
    pub(super) fn passed(&mut self, metrics: &TargetMetrics, phase: Phase, took: Duration) {
        metrics.phase(phase, PhaseOutcome::Ok, took);
        self.passed.push((phase, took));
    }

    /// Records a phase that failed. It may be tried again.
    pub(super) fn failed(&mut self, metrics: &TargetMetrics, phase: Phase, took: Duration) {
        metrics.phase(phase, PhaseOutcome::Error, took);
        self.failed = Some(phase);
    }

    /// Records that the connection failed, in the phase that failed last.
    pub(super) fn gave_up(&self, metrics: &TargetMetrics, error: &ConnectionError) {
        if let Some(phase) = self.failed {
            metrics.connect_failed(phase, error.label());
        }
    }
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (phase, took)) in self.passed.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}={:.1}ms", phase.label(), took.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}
