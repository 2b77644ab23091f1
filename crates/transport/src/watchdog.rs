//! Logs calls into plugins that take too long, while they still do.

use std::time::Duration;

use tokio::runtime;
use tokio::task::AbortHandle;

/// Logs once unless dropped within its limit.
pub(crate) struct Watchdog(AbortHandle);

impl Watchdog {
    pub(crate) fn start(
        runtime: &runtime::Handle,
        instance: &str,
        call: &'static str,
        limit: Duration,
    ) -> Self {
        let instance = instance.to_owned();
        let task = runtime.spawn(async move {
            tokio::time::sleep(limit).await;
            tracing::warn!(instance, call, ?limit, "a plugin's call takes longer than it may");
        });
        Self(task.abort_handle())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.abort();
    }
}
