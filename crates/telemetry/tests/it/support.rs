//! A telemetry to test with, and a reader for what it renders.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pgferry_telemetry::{
    BuildInfo, CancelResult, CloseReason, Direction, MetricKind, Origin, Outcome, Phase,
    PhaseOutcome, PluginInfo, Settings, Severity, Side, Telemetry,
};

pub(crate) const OPERATIONS: &[&str] = &["SELECT", "INSERT", "COPY", "OTHER"];
pub(crate) const BUILD: BuildInfo =
    BuildInfo { version: "1.2.3", commit: Some("abcdef0"), rustc: "1.95.0" };

pub(crate) fn telemetry() -> Telemetry {
    Telemetry::new(BUILD, Settings::new(OPERATIONS)).unwrap()
}

/// A telemetry in which every row of the catalogue has a series, plugins' histograms included.
pub(crate) fn busy(target: &str) -> Telemetry {
    let started = Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500));
    let settings = Settings { started, ..Settings::new(OPERATIONS) };
    let telemetry = Telemetry::new(BUILD, settings).unwrap();
    let dev = telemetry.target(target, "ssm");
    dev.listener("127.0.0.1:15432");
    dev.queries(0).record(0, Outcome::Ok, 1_500_000);
    dev.phase(Phase::Tls, PhaseOutcome::Ok, Duration::from_millis(20));
    dev.connect_failed(Phase::Transport, "agent_offline");
    dev.connection_opened("127.0.0.1:15432").close(CloseReason::ClientClosed);
    dev.error(Severity::Error, "42P01", Origin::Server);
    dev.bytes().io(Side::Client, Direction::Rx, 42);
    dev.stall(2_500_000_000);
    dev.cancel(CancelResult::Forwarded);
    dev.tunnel(true);
    telemetry.config_loaded(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_001));
    let plugin = PluginInfo { name: "ssm", version: "1.2.3", abi: "1", sha256: None };
    telemetry.plugin_info(&plugin);
    let metrics = telemetry.plugin("data-api", "prod");
    for (kind, name) in [
        (MetricKind::Counter, "pages_total"),
        (MetricKind::Gauge, "transactions"),
        (MetricKind::Histogram, "call_seconds"),
    ] {
        let id = metrics.register(kind, name, "Something.", &[("region", "eu\\\"x\n")]).unwrap();
        metrics.record(id, 3.0);
    }
    telemetry
}

/// Samples by series, as in the text: `name{labels}` to value.
pub(crate) fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let twice = samples.insert(series.to_owned(), value.parse().unwrap());
        assert_eq!(twice, None, "{series} is there twice");
    }
    samples
}

pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
