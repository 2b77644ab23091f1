//! Metrics that plugins register: named by them, fenced by us.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Key, Label};

pub use crate::catalog::Kind as MetricKind;
use crate::exporter::{Exporter, label};

/// A plugin in use.
#[derive(Debug, Clone, Copy)]
pub struct PluginInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The version of the contract it speaks.
    pub abi: &'a str,
    /// The hash of the file it was loaded from; none for a plugin that is linked in.
    pub sha256: Option<&'a str>,
}

/// One registered series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricId(u64);

impl MetricId {
    /// The id as it crosses the plugin border. Never 0, so that 0 can say "refused" there.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// An id that came back over the plugin border. One that was never given out records nothing.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

/// Why a metric was refused: the plugin author's fault in every case.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is not one Prometheus takes.
    #[error(
        "metric name {0:?}: 1 to 100 of a-z, A-Z, 0-9 and _, not ending in _bucket, _sum or _count"
    )]
    Name(String),
    /// The name says another kind than the one asked for.
    #[error("metric name {0:?}: counters end in _total and nothing else does")]
    Total(String),
    /// There is no help text.
    #[error("metric {0:?} has no help text")]
    Help(String),
    /// A label cannot be taken.
    #[error(
        "label {0:?}: at most 8, named by a-z, A-Z, 0-9 and _, not starting with a digit or __, \
             not instance, le or quantile, not twice, values up to 128 bytes"
    )]
    Label(String),
    /// The name is taken by a metric of another kind.
    #[error("metric {0:?} exists with another kind")]
    Kind(String),
    /// The instance has as many series as it may have.
    #[error("an instance may have {MAX_SERIES} series")]
    TooMany,
}

/// Where one instance of a plugin registers and records.
///
/// Names get the prefix `pgferry_plugin_<plugin>_` and the label `instance`.
#[derive(Debug)]
pub struct PluginMetrics {
    exporter: Exporter,
    names: PluginNames,
    prefix: String,
    instance: String,
    series: RwLock<Vec<Series>>,
}

impl PluginMetrics {
    pub(crate) fn new(
        exporter: Exporter,
        names: PluginNames,
        plugin: &str,
        instance: &str,
    ) -> Self {
        let plugin = plugin.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let prefix = format!("pgferry_plugin_{plugin}_");
        Self { exporter, names, prefix, instance: instance.to_owned(), series: RwLock::default() }
    }

    /// Registers one series, or finds it again; counters and gauges show as 0 from now on.
    /// Durations are in seconds, sizes in bytes.
    ///
    /// Errors: [`RegisterError`], the plugin author's fault.
    pub fn register(
        &self,
        kind: MetricKind,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<MetricId, RegisterError> {
        check_name(kind, name)?;
        check_labels(labels)?;
        if help.trim().is_empty() {
            return Err(RegisterError::Help(name.to_owned()));
        }
        let name = format!("{}{name}", self.prefix);
        let key = self.key(&name, labels);
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = series.iter().position(|known| known.key == key) {
            return self.names.claim(&name, kind).map(|()| id(known));
        }
        if series.len() >= MAX_SERIES {
            return Err(RegisterError::TooMany);
        }
        self.names.claim(&name, kind)?;
        self.exporter.describe(kind, &name, help);
        let instrument = Instrument::new(&self.exporter, kind, &key);
        series.push(Series { key, instrument });
        Ok(id(series.len() - 1))
    }

    /// Records a value: added to a counter (in whole numbers), set on a gauge, observed by a
    /// histogram. Values that are not finite, and unknown ids, are ignored.
    pub fn record(&self, metric: MetricId, value: f64) {
        let Some(index) = metric.0.checked_sub(1).and_then(|id| usize::try_from(id).ok()) else {
            return;
        };
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = series.get(index).filter(|_| value.is_finite()) {
            series.instrument.record(value);
        }
    }

    fn key(&self, name: &str, labels: &[(&str, &str)]) -> Key {
        let instance = std::iter::once(label("instance", &self.instance));
        let labels: Vec<Label> =
            instance.chain(labels.iter().map(|(name, value)| label(*name, value))).collect();
        Key::from_parts(name.to_owned(), labels)
    }
}

/// Which kind each name has, over all plugins: two kinds under one name would spoil the scrape.
#[derive(Debug, Clone, Default)]
pub(crate) struct PluginNames {
    kinds: Arc<Mutex<HashMap<String, MetricKind>>>,
}

impl PluginNames {
    fn claim(&self, name: &str, kind: MetricKind) -> Result<(), RegisterError> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        match kinds.get(name) {
            Some(known) if *known != kind => Err(RegisterError::Kind(name.to_owned())),
            Some(_) => Ok(()),
            None => {
                kinds.insert(name.to_owned(), kind);
                Ok(())
            }
        }
    }
}

#[derive(Debug)]
struct Series {
    key: Key,
    instrument: Instrument,
}

#[derive(Debug)]
enum Instrument {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Instrument {
    fn new(exporter: &Exporter, kind: MetricKind, key: &Key) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter(exporter.plugin_counter(key)),
            MetricKind::Gauge => Self::Gauge(exporter.plugin_gauge(key)),
            MetricKind::Histogram => Self::Histogram(exporter.plugin_histogram(key)),
        }
    }

    fn record(&self, value: f64) {
        match self {
            Self::Counter(counter) => counter.increment(whole(value)),
            Self::Gauge(gauge) => gauge.set(value),
            Self::Histogram(histogram) => histogram.record(value),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates: a negative increment is none, a huge one the largest"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn id(index: usize) -> MetricId {
    MetricId(index as u64 + 1)
}

fn check_name(kind: MetricKind, name: &str) -> Result<(), RegisterError> {
    let reserved = ["_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix));
    if reserved || !(1..=100).contains(&name.len()) || !name.bytes().all(is_word) {
        return Err(RegisterError::Name(name.to_owned()));
    }
    if name.ends_with("_total") != (kind == MetricKind::Counter) {
        return Err(RegisterError::Total(name.to_owned()));
    }
    Ok(())
}

fn check_labels(labels: &[(&str, &str)]) -> Result<(), RegisterError> {
    for (index, (name, value)) in labels.iter().enumerate() {
        let word = !name.is_empty() && name.len() <= 64 && name.bytes().all(is_word);
        let start = name.starts_with("__") || name.starts_with(|c: char| c.is_ascii_digit());
        let reserved = ["instance", "le", "quantile"].contains(name);
        let twice = labels.iter().take(index).any(|(other, _)| other == name);
        if !word || start || reserved || twice || value.len() > 128 || index >= 8 {
            return Err(RegisterError::Label((*name).to_owned()));
        }
    }
    Ok(())
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Series one instance may have: room for a table of counters, not for a label that grows.
const MAX_SERIES: usize = 64;
