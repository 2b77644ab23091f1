//! What transports tell, as metrics and health of the targets that use them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pgferry_telemetry::{PluginMetrics, TargetHealth, TargetMetrics, Telemetry};
use pgferry_transport::{Metric, MetricKind, Observer, Recorder, Status, TunnelState};

/// Hears the transports on behalf of the targets. They write their own log lines.
pub(crate) struct Transports {
    telemetry: Telemetry,
    /// The targets of each instance.
    targets: BTreeMap<String, Vec<(Arc<TargetMetrics>, TargetHealth)>>,
    /// The plugin of each instance.
    kinds: BTreeMap<String, String>,
    metrics: Mutex<BTreeMap<String, Arc<PluginMetrics>>>,
    /// Instances that tell their tunnel's state themselves. For the others an open says it.
    outspoken: Mutex<BTreeSet<String>>,
}

impl Transports {
    /// `plan` names the instances and who uses them.
    pub(crate) fn new(telemetry: &Telemetry, plan: &pgferry_config::Plan) -> Self {
        let kinds: BTreeMap<_, _> = plan
            .transports
            .iter()
            .map(|transport| (transport.name.clone(), transport.kind.replace('-', "_")))
            .collect();
        let mut targets: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for target in &plan.targets {
            let kind = kinds.get(&target.transport).map_or("", String::as_str);
            targets.entry(target.transport.clone()).or_default().push((
                telemetry.target(&target.name, kind),
                telemetry.health().target(&target.name),
            ));
        }
        Self {
            telemetry: telemetry.clone(),
            targets,
            kinds,
            metrics: Mutex::default(),
            outspoken: Mutex::default(),
        }
    }

    fn tell(&self, instance: &str, state: TunnelState, message: &str) {
        let shown = match state {
            TunnelState::Up => pgferry_telemetry::TunnelState::Up,
            TunnelState::Degraded => pgferry_telemetry::TunnelState::Degraded,
            TunnelState::Down => pgferry_telemetry::TunnelState::Down,
        };
        for (metrics, health) in self.targets.get(instance).into_iter().flatten() {
            metrics.tunnel(state != TunnelState::Down);
            health.tunnel(shown, message);
        }
    }

    fn is_outspoken(&self, instance: &str) -> bool {
        self.outspoken.lock().unwrap_or_else(PoisonError::into_inner).contains(instance)
    }

    fn plugin_metrics(&self, instance: &str) -> Option<(Arc<PluginMetrics>, &str)> {
        let kind = self.kinds.get(instance)?;
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let of_instance = metrics
            .entry(instance.to_owned())
            .or_insert_with(|| Arc::new(self.telemetry.plugin(kind, instance)));
        Some((Arc::clone(of_instance), kind))
    }
}

impl Observer for Transports {
    fn state(&self, instance: &str, state: TunnelState, message: &str) {
        let mut outspoken = self.outspoken.lock().unwrap_or_else(PoisonError::into_inner);
        outspoken.insert(instance.to_owned());
        drop(outspoken);
        self.tell(instance, state, message);
    }

    fn metric(&self, instance: &str, metric: &Metric) -> Option<Recorder> {
        let (metrics, kind) = self.plugin_metrics(instance)?;
        let own = metric.name.strip_prefix(&format!("pgferry_plugin_{kind}_"))?;
        let labels: Vec<_> =
            metric.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let kind = match metric.kind {
            MetricKind::Counter => pgferry_telemetry::MetricKind::Counter,
            MetricKind::Gauge => pgferry_telemetry::MetricKind::Gauge,
            MetricKind::Histogram => pgferry_telemetry::MetricKind::Histogram,
        };
        match metrics.register(kind, own, &metric.help, &labels) {
            Ok(id) => Some(Arc::new(move |value| metrics.record(id, value))),
            Err(error) => {
                tracing::warn!(transport = instance, %error, "the plugin's metric is refused");
                None
            }
        }
    }

    fn opened(&self, instance: &str, _took: Duration) {
        if !self.is_outspoken(instance) {
            self.tell(instance, TunnelState::Up, "");
        }
    }

    fn failed(&self, instance: &str, status: Status, _took: Duration) {
        if !self.is_outspoken(instance) && status != Status::Cancelled {
            self.tell(instance, TunnelState::Down, status.label());
        }
    }
}
