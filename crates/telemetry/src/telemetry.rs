//! The root of all metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::catalog;
use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::health::Health;
use crate::histogram::{Bounds, BucketsError};
use crate::labels::ReloadResult;
use crate::phases::PhaseHistograms;
use crate::plugin::{PluginInfo, PluginMetrics, PluginNames};
use crate::queries::{Shape, TargetQueries};
use crate::target::{Names, TargetMetrics, Timings};

/// Which build runs.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// The version, as in `--version`.
    pub version: &'static str,
    /// The commit it was built from, where known.
    pub commit: Option<&'static str>,
    /// The compiler.
    pub rustc: &'static str,
}

/// What can be chosen.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Upper bounds of the statement histogram's buckets. Seconds.
    pub buckets: Vec<f64>,
    /// The operations told apart; [`QueryHistograms::record`](crate::QueryHistograms::record)
    /// takes an index into this list. The last one stands for all others.
    pub operations: &'static [&'static str],
    /// When the process started, if it is to be shown.
    pub started: Option<SystemTime>,
}

impl Settings {
    /// The default buckets, no start time.
    pub fn new(operations: &'static [&'static str]) -> Self {
        let buckets = catalog::QUERY_BUCKETS.to_vec();
        Self { buckets, operations, started: None }
    }
}

/// Why metrics could not be set up.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallError {
    /// The configured buckets make no sense: the user's fault.
    #[error("metrics: {0}")]
    Buckets(#[from] BucketsError),
    /// No operations were given: a bug of the caller.
    #[error("metrics: the list of operations is empty")]
    NoOperations,
    /// The process has a recorder already: a bug of the caller.
    #[error("metrics: a recorder is installed already")]
    RecorderInstalled,
}

/// Every metric and the health of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Telemetry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    exporter: Exporter,
    shape: Arc<Shape>,
    phase_bounds: Arc<Bounds>,
    targets: Mutex<Targets>,
    plugin_names: PluginNames,
    health: Health,
}

#[derive(Debug, Default)]
struct Targets {
    /// Statement times carry no transport label, so a target whose transport changed keeps them.
    timings: BTreeMap<String, Arc<Timings>>,
    metrics: BTreeMap<Names, Arc<TargetMetrics>>,
}

impl Telemetry {
    /// Metrics that touch nothing global: what tests and libraries want.
    ///
    /// Errors: [`InstallError::Buckets`] is the user's fault, [`InstallError::NoOperations`] the
    /// caller's.
    pub fn new(build: BuildInfo, settings: Settings) -> Result<Self, InstallError> {
        let Settings { buckets, operations, started } = settings;
        if operations.is_empty() {
            return Err(InstallError::NoOperations);
        }
        let bounds = Bounds::new(&buckets)?;
        let inner = Inner {
            exporter: Exporter::new(),
            shape: Arc::new(Shape { bounds, operations }),
            phase_bounds: Arc::new(Bounds::new(catalog::PHASE_BUCKETS)?),
            targets: Mutex::default(),
            plugin_names: PluginNames::default(),
            health: Health::default(),
        };
        inner.describe_process(build, started);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// As [`new`](Self::new), and makes the exporter the process's `metrics` recorder, so that
    /// libraries which report through that facade show up too. Spawn
    /// [`upkeep_forever`](Self::upkeep_forever) as well.
    ///
    /// Errors: as [`new`](Self::new), and [`InstallError::RecorderInstalled`].
    pub fn install(build: BuildInfo, settings: Settings) -> Result<Self, InstallError> {
        let telemetry = Self::new(build, settings)?;
        metrics::set_global_recorder(telemetry.inner.exporter.recorder())
            .map_err(|_| InstallError::RecorderInstalled)?;
        Ok(telemetry)
    }

    /// The metrics of a target; the same ones each time it is asked.
    pub fn target(&self, target: &str, transport: &str) -> Arc<TargetMetrics> {
        let names = Names { target: target.to_owned(), transport: transport.to_owned() };
        let mut targets = self.inner.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = targets.metrics.get(&names) {
            return Arc::clone(known);
        }
        let timings = Arc::clone(targets.timings.entry(target.to_owned()).or_insert_with(|| {
            let shape = Arc::clone(&self.inner.shape);
            Arc::new(Timings::new(TargetQueries::new(shape)))
        }));
        let phases = PhaseHistograms::new(Arc::clone(&self.inner.phase_bounds));
        let metrics =
            TargetMetrics::new(names.clone(), self.inner.exporter.clone(), timings, phases);
        let metrics = Arc::new(metrics);
        targets.metrics.insert(names, Arc::clone(&metrics));
        metrics
    }

    /// Shows a plugin that is in use.
    pub fn plugin_info(&self, plugin: &PluginInfo<'_>) {
        let labels = [plugin.name, plugin.version, plugin.abi, plugin.sha256.unwrap_or("")];
        self.inner.exporter.gauge(&catalog::PLUGIN_INFO, &labels).set(1.0);
    }

    /// The configuration that is in use was read at `now`.
    pub fn config_loaded(&self, now: SystemTime) {
        self.inner.exporter.gauge(&catalog::CONFIG_LOADED, &[]).set(since_epoch(now));
    }

    /// Counts a reload.
    pub fn reload(&self, result: ReloadResult) {
        self.inner.exporter.counter(&catalog::CONFIG_RELOADS, &[result.label()]).increment(1);
    }

    /// Where `instance` of the plugin `plugin` registers metrics of its own.
    pub fn plugin(&self, plugin: &str, instance: &str) -> PluginMetrics {
        let names = self.inner.plugin_names.clone();
        PluginMetrics::new(self.inner.exporter.clone(), names, plugin, instance)
    }

    /// What readiness is decided by.
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// All metrics in the Prometheus text format. Blocks nobody who records.
    pub fn render(&self) -> String {
        let mut text = Exposition::after(self.inner.exporter.render());
        let timings = self.inner.timings();
        self.inner.write_queries(&mut text, &timings);
        self.inner.write_phases(&mut text);
        Inner::write_stalls(&mut text, &timings);
        self.inner.write_tunnels(&mut text);
        text.finish()
    }

    /// Keeps the exporter's memory bounded: it holds raw samples of histograms that plugins and
    /// libraries register until somebody drains them. To be spawned once; never returns.
    ///
    /// Cancel safety: may be dropped at any await.
    pub async fn upkeep_forever(&self) {
        let mut ticks = tokio::time::interval(UPKEEP_PERIOD);
        loop {
            ticks.tick().await;
            self.inner.exporter.run_upkeep();
        }
    }
}

impl Inner {
    fn describe_process(&self, build: BuildInfo, started: Option<SystemTime>) {
        let labels = [build.version, build.commit.unwrap_or("unknown"), build.rustc];
        self.exporter.gauge(&catalog::BUILD_INFO, &labels).set(1.0);
        if let Some(started) = started {
            self.exporter.gauge(&catalog::PROCESS_START, &[]).set(since_epoch(started));
        }
        for result in ReloadResult::ALL {
            drop(self.exporter.counter(&catalog::CONFIG_RELOADS, &[result.label()]));
        }
    }

    /// What is to be written for each target; the lock is held only to copy pointers.
    fn timings(&self) -> Vec<(String, Arc<Timings>)> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.timings.iter().map(|(target, times)| (target.clone(), Arc::clone(times))).collect()
    }

    /// As [`timings`](Self::timings), per target and transport.
    fn targets(&self) -> Vec<Arc<TargetMetrics>> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.metrics.values().cloned().collect()
    }

    fn write_queries(&self, text: &mut Exposition, timings: &[(String, Arc<Timings>)]) {
        let metric = &catalog::QUERY_DURATION;
        let mut opened = false;
        for (target, timings) in timings {
            for (operation, outcome, snapshot) in timings.queries.series() {
                if !std::mem::replace(&mut opened, true) {
                    text.family(metric);
                }
                let labels = ["postgresql", target, operation, outcome.label()];
                text.histogram(metric, &labels, &self.shape.bounds, &snapshot);
            }
        }
    }

    fn write_stalls(text: &mut Exposition, timings: &[(String, Arc<Timings>)]) {
        if !timings.is_empty() {
            text.family(&catalog::CLIENT_STALL);
        }
        for (target, timings) in timings {
            text.seconds(&catalog::CLIENT_STALL, &[target], timings.stall_nanos());
        }
    }

    /// Not with the exporter, which never forgets a series: a target may lose its transport.
    fn write_tunnels(&self, text: &mut Exposition) {
        let metric = &catalog::TUNNEL_UP;
        let mut opened = false;
        for target in self.targets() {
            let Some(up) = target.tunnel_up() else { continue };
            if !std::mem::replace(&mut opened, true) {
                text.family(metric);
            }
            let names = target.names();
            text.state(metric, &[&names.target, &names.transport], up);
        }
    }

    fn write_phases(&self, text: &mut Exposition) {
        let metric = &catalog::CONNECT_PHASE_DURATION;
        let mut opened = false;
        for target in self.targets() {
            let names = target.names();
            for (phase, outcome, snapshot) in target.phases().series() {
                if !std::mem::replace(&mut opened, true) {
                    text.family(metric);
                }
                let labels =
                    [names.target.as_str(), &names.transport, phase.label(), outcome.label()];
                text.histogram(metric, &labels, &self.phase_bounds, &snapshot);
            }
        }
    }
}

/// In seconds; 0 for a clock that stands before the epoch.
fn since_epoch(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A plugin that records 10 000 samples a second holds about 1 MiB between two of these.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);
