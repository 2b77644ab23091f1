//! What the host tells the rest of the program about its transports.

use std::sync::Arc;
use std::time::Duration;

use crate::Status;

/// Hears what happens in the transports. Called from any thread, plugin threads included: an
/// implementation must neither block nor panic.
pub trait Observer: Send + Sync {
    /// A transport says how its tunnel is, or the host holds a panicking one down.
    fn state(&self, instance: &str, state: TunnelState, message: &str) {
        let _ = (instance, state, message);
    }

    /// A plugin broke the contract.
    fn violation(&self, instance: &str, what: &str) {
        let _ = (instance, what);
    }

    /// An open was cancelled and not answered within the time for it.
    fn abandoned(&self, instance: &str) {
        let _ = instance;
    }

    /// A plugin registers a metric. Gives what records its values, or `None` to drop them.
    fn metric(&self, instance: &str, metric: &Metric) -> Option<Recorder> {
        let _ = (instance, metric);
        None
    }

    /// An open begins. What this gives is dropped when the open ends, in whatever way.
    fn opening(&self, instance: &str) -> Option<Box<dyn Send>> {
        let _ = instance;
        None
    }

    /// An open gave a socket.
    fn opened(&self, instance: &str, took: Duration) {
        let _ = (instance, took);
    }

    /// An open failed.
    fn failed(&self, instance: &str, status: Status, took: Duration) {
        let _ = (instance, status, took);
    }
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// Records one value of a metric.
pub type Recorder = Arc<dyn Fn(f64) + Send + Sync>;

/// How a transport's tunnel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelState {
    /// It carries streams.
    Up,
    /// It carries streams, with trouble.
    Degraded,
    /// It does not carry streams.
    Down,
}

impl TunnelState {
    /// One lower-case word, for logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// A metric that a plugin registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What its values mean.
    pub kind: MetricKind,
    /// The plugin.
    pub plugin: String,
    /// The whole name: `pgferry_plugin_<plugin>_<the plugin's own name for it>`.
    pub name: String,
    /// One sentence about it.
    pub help: String,
    /// Its labels, sorted by name. Never holds `instance`, which is the observer's to add.
    pub labels: Vec<(String, String)>,
}

/// What a metric's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Each value is added.
    Counter,
    /// Each value replaces the one before.
    Gauge,
    /// Each value is one observation.
    Histogram,
}
