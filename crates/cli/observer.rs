//! What transports tell, as metrics and health of the targets that use them.

mod gauge;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use pgferry_proxy::Target;
use pgferry_telemetry::{MetricId, PluginMetrics, TargetHealth, TargetMetrics, Telemetry};
use pgferry_transport::{Metric, MetricKind, Observer, Recorder, Status, TunnelState};

use self::gauge::Gauge;
use crate::progress::Progress;

/// Hears the transports on behalf of the targets. They write their own log lines.
pub(crate) struct Transports {
    telemetry: Telemetry,
    instances: Mutex<BTreeMap<String, Instance>>,
    /// By plugin and instance.
    metrics: Mutex<BTreeMap<(String, String), Arc<Metrics>>>,
    /// What a person sees while a path opens.
    progress: OnceLock<Progress>,
}

/// What is known of an instance.
#[derive(Default)]
struct Instance {
    targets: Vec<(Arc<TargetMetrics>, TargetHealth)>,
    tunnel: Option<(TunnelState, String)>,
    /// It tells its tunnel's state itself. For the others an open says it.
    is_outspoken: bool,
}

/// What an instance has registered.
struct Metrics {
    metrics: Arc<PluginMetrics>,
    gauges: Mutex<BTreeMap<u64, Arc<Gauge>>>,
}

impl Transports {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            telemetry: telemetry.clone(),
            instances: Mutex::default(),
            metrics: Mutex::default(),
            progress: OnceLock::new(),
        }
    }

    /// From now on a person sees when a path takes long to open.
    pub(crate) fn show(&self, progress: Progress) {
        // Only a second call finds one there, and then the first one counts.
        self.progress.set(progress).ok();
    }

    /// From now on these are the targets. What was told by instances that are `kept` holds for their
    /// new targets too; nothing is known about the tunnels of the others.
    pub(crate) fn follow(&self, targets: &[Arc<Target>], kept: impl Fn(&str) -> bool) {
        let mut instances = self.instances();
        for (metrics, _) in instances.values_mut().flat_map(|instance| instance.targets.drain(..)) {
            if !targets.iter().any(|target| Arc::ptr_eq(target.metrics(), &metrics)) {
                metrics.tunnel(None);
            }
        }
        instances.retain(|name, _| kept(name));
        for target in targets {
            let of_target = (Arc::clone(target.metrics()), target.health().clone());
            let name = target.instance().name().to_owned();
            instances.entry(name).or_default().targets.push(of_target);
        }
        instances.values().for_each(Instance::tell);
    }

    fn heard(&self, instance: &str, state: TunnelState, message: &str, is_own: bool) {
        let mut instances = self.instances();
        let instance = instances.entry(instance.to_owned()).or_default();
        if is_own || !instance.is_outspoken {
            instance.is_outspoken |= is_own;
            instance.tunnel = Some((state, message.to_owned()));
            instance.tell();
        }
    }

    fn metrics(&self, plugin: &str, instance: &str) -> Arc<Metrics> {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let of_instance = metrics.entry((plugin.to_owned(), instance.to_owned()));
        Arc::clone(of_instance.or_insert_with(|| {
            let metrics = Arc::new(self.telemetry.plugin(plugin, instance));
            Arc::new(Metrics { metrics, gauges: Mutex::default() })
        }))
    }

    fn instances(&self) -> MutexGuard<'_, BTreeMap<String, Instance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instance {
    fn tell(&self) {
        use pgferry_telemetry::TunnelState as Shown;

        let (up, shown, message) = match &self.tunnel {
            None => (None, Shown::Idle, ""),
            Some((TunnelState::Up, message)) => (Some(true), Shown::Up, message.as_str()),
            Some((TunnelState::Degraded, message)) => {
                (Some(true), Shown::Degraded, message.as_str())
            }
            Some((TunnelState::Down, message)) => (Some(false), Shown::Down, message.as_str()),
        };
        for (metrics, health) in &self.targets {
            metrics.tunnel(up);
            health.tunnel(shown, message);
        }
    }
}

impl Metrics {
    fn recorder(&self, kind: MetricKind, id: MetricId) -> Recorder {
        let metrics = Arc::clone(&self.metrics);
        if kind != MetricKind::Gauge {
            return Arc::new(move |value| metrics.record(id, value));
        }
        let mut gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = gauges.entry(id.raw()).or_insert_with(|| Arc::new(Gauge::new(metrics, id)));
        let share = gauge.share();
        Arc::new(move |value| share.set(value))
    }
}

impl Observer for Transports {
    fn state(&self, instance: &str, state: TunnelState, message: &str) {
        self.heard(instance, state, message, true);
    }

    fn metric(&self, instance: &str, metric: &Metric) -> Option<Recorder> {
        let own = metric.name.strip_prefix(&format!("pgferry_plugin_{}_", metric.plugin))?;
        let labels: Vec<_> =
            metric.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let kind = match metric.kind {
            MetricKind::Counter => pgferry_telemetry::MetricKind::Counter,
            MetricKind::Gauge => pgferry_telemetry::MetricKind::Gauge,
            MetricKind::Histogram => pgferry_telemetry::MetricKind::Histogram,
        };
        let metrics = self.metrics(&metric.plugin, instance);
        match metrics.metrics.register(kind, own, &metric.help, &labels) {
            Ok(id) => Some(metrics.recorder(metric.kind, id)),
            Err(error) => {
                tracing::warn!(transport = instance, %error, "the plugin's metric is refused");
                None
            }
        }
    }

    fn opening(&self, _instance: &str) -> Option<Box<dyn Send>> {
        Some(Box::new(self.progress.get()?.begin()))
    }

    fn opened(&self, instance: &str, _took: Duration) {
        self.heard(instance, TunnelState::Up, "", false);
    }

    fn failed(&self, instance: &str, status: Status, _took: Duration) {
        if status != Status::Cancelled {
            self.heard(instance, TunnelState::Down, status.label(), false);
        }
    }
}
