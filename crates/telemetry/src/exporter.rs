//! Counters and gauges: a thin layer over `metrics-exporter-prometheus` that takes rows of the
//! catalogue instead of strings.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::catalog::{self, Kind, Metric};

static METADATA: Metadata<'static> = Metadata::new("pgferry", Level::INFO, Some(module_path!()));

/// The exporter, ours alone unless it is made the process's recorder too.
#[derive(Clone)]
pub(crate) struct Exporter {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Exporter {
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // Without buckets the exporter turns histograms into summaries, thirty times the size.
        let recorder = match builder.set_buckets(catalog::PHASE_BUCKETS) {
            Ok(builder) => builder.build_recorder(),
            // Only an empty list is refused, and this one is a constant.
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
        let handle = recorder.handle();
        let exporter = Self { recorder: Arc::new(recorder), handle };
        for metric in catalog::ALL {
            exporter.describe(metric.kind, metric.name, metric.help);
        }
        exporter
    }

    /// The recorder, to be shared with libraries that use the `metrics` facade.
    pub(crate) fn recorder(&self) -> Arc<PrometheusRecorder> {
        Arc::clone(&self.recorder)
    }

    pub(crate) fn describe(&self, kind: Kind, name: &str, help: &str) {
        let (name, help) = (KeyName::from(name.to_owned()), help.to_owned().into());
        match kind {
            Kind::Counter => self.recorder.describe_counter(name, None, help),
            Kind::Gauge => self.recorder.describe_gauge(name, None, help),
            Kind::Histogram => self.recorder.describe_histogram(name, None, help),
        }
    }

    /// The counter of one series of `metric`; it shows as 0 from now on.
    pub(crate) fn counter(&self, metric: &'static Metric, values: &[&str]) -> Counter {
        self.recorder.register_counter(&key(metric, values), &METADATA)
    }

    /// The gauge of one series of `metric`; it shows as 0 from now on.
    pub(crate) fn gauge(&self, metric: &'static Metric, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(metric, values), &METADATA)
    }

    /// A counter of a plugin.
    pub(crate) fn plugin_counter(&self, key: &Key) -> Counter {
        self.recorder.register_counter(key, &METADATA)
    }

    /// A gauge of a plugin.
    pub(crate) fn plugin_gauge(&self, key: &Key) -> Gauge {
        self.recorder.register_gauge(key, &METADATA)
    }

    /// A histogram of a plugin, in the exporter's own storage: needs upkeep.
    pub(crate) fn plugin_histogram(&self, key: &Key) -> Histogram {
        self.recorder.register_histogram(key, &METADATA)
    }

    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves raw histogram samples into their buckets.
    pub(crate) fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

/// A label whose value the exporter will render as it is.
///
/// The exporter takes a backslash in a value as the start of an escape that somebody else already
/// wrote: `a\"b` and `a"b` would become one series. Doubled backslashes come out right.
pub(crate) fn label(name: impl Into<String>, value: &str) -> Label {
    Label::new(name.into(), value.replace('\\', "\\\\"))
}

fn key(metric: &'static Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{} labels", metric.name);
    let labels: Vec<Label> =
        metric.labels.iter().zip(values).map(|(name, value)| label(*name, value)).collect();
    Key::from_parts(metric.name, labels)
}
