//! One open connection of an application, counted from accept to close.

use std::sync::Arc;

use metrics::Gauge;

use crate::labels::CloseReason;
use crate::target::TargetMetrics;

/// Holds one connection in the count of open ones until it is closed or dropped.
#[derive(Debug)]
#[must_use = "the connection counts as closed once this is dropped"]
pub struct ConnectionGuard {
    target: Arc<TargetMetrics>,
    open: Gauge,
    reason: CloseReason,
}

impl ConnectionGuard {
    pub(crate) fn new(target: Arc<TargetMetrics>, open: Gauge) -> Self {
        open.increment(1.0);
        Self { target, open, reason: CloseReason::Aborted }
    }

    /// The target it belongs to.
    pub const fn target(&self) -> &Arc<TargetMetrics> {
        &self.target
    }

    /// Ends the connection for `reason`. Dropped without this, the reason is
    /// [`CloseReason::Aborted`].
    pub fn close(mut self, reason: CloseReason) {
        self.reason = reason;
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.open.decrement(1.0);
        self.target.connection_closed(self.reason);
    }
}
