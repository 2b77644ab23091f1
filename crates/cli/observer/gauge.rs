//! Gauges that several instances may set: those of before a reload and those of after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pgferry_telemetry::{MetricId, PluginMetrics};

/// One series of a gauge, shown as the sum of what each instance last set.
pub(super) struct Gauge {
    metrics: Arc<PluginMetrics>,
    id: MetricId,
    shares: Mutex<Shares>,
}

#[derive(Default)]
struct Shares {
    last: u64,
    values: Vec<(u64, f64)>,
}

/// The share of one instance; counts for nothing once it is dropped.
pub(super) struct Share {
    gauge: Arc<Gauge>,
    number: u64,
}

impl Gauge {
    pub(super) fn new(metrics: Arc<PluginMetrics>, id: MetricId) -> Self {
        Self { metrics, id, shares: Mutex::default() }
    }

    pub(super) fn share(self: &Arc<Self>) -> Share {
        let mut shares = self.shares();
        shares.last += 1;
        Share { gauge: Arc::clone(self), number: shares.last }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    pub(super) fn set(&self, value: f64) {
        self.replace(Some(value));
    }

    fn replace(&self, value: Option<f64>) {
        let mut shares = self.gauge.shares();
        shares.values.retain(|(number, _)| *number != self.number);
        shares.values.extend(value.map(|value| (self.number, value)));
        let sum = shares.values.iter().map(|(_, value)| value).sum();
        self.gauge.metrics.record(self.gauge.id, sum);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.replace(None);
    }
}

#[cfg(test)]
mod tests {
    use pgferry_telemetry::{BuildInfo, MetricKind, Settings, Telemetry};

    use super::*;

    #[test]
    fn a_gauge_is_the_sum_over_the_instances_that_live() {
        let build = BuildInfo { version: "1", commit: None, rustc: "1" };
        let telemetry = Telemetry::new(build, Settings::new(&["SELECT"])).unwrap();
        let metrics = Arc::new(telemetry.plugin("ssh", "bastion"));
        let id = metrics.register(MetricKind::Gauge, "channels", "Channels.", &[]).unwrap();
        let shown = || {
            let text = telemetry.render();
            let line =
                text.lines().find_map(|line| line.strip_prefix("pgferry_plugin_ssh_channels{"));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        };
        let gauge = Arc::new(Gauge::new(metrics, id));
        let (old, new) = (gauge.share(), gauge.share());
        old.set(3.0);
        new.set(1.0);
        old.set(2.0);
        assert_eq!(shown(), Some(3.0));
        drop(old);
        assert_eq!(shown(), Some(1.0));
    }
}
