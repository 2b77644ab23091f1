//! Every metric of the program: name, kind, unit, labels, help and buckets, in one table.
//!
//! Nothing else in the crate spells a metric name; the table in `docs/metrics.md` is written from
//! this one.

use std::fmt::Write as _;

use crate::labels::{
    CancelResult, CloseReason, Direction, Origin, Outcome, Phase, PhaseOutcome, ReloadResult,
    Severity, Side,
};

/// One row of the table.
#[derive(Debug)]
pub struct Metric {
    /// The full name, unit and `_total` included.
    pub name: &'static str,
    /// How it is to be read.
    pub kind: Kind,
    /// What one unit of the value is.
    pub unit: Unit,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// One sentence, shown in `# HELP`.
    pub help: &'static str,
    /// Upper bounds of a histogram's buckets, in `unit`; empty for other kinds.
    pub buckets: &'static [f64],
}

/// The Prometheus type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; starts again at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts per bucket, with a sum.
    Histogram,
}

impl Kind {
    /// The word used in `# TYPE`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The unit of a metric's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Always 1: the labels are the information.
    Info,
    /// 0 or 1.
    State,
}

impl Unit {
    /// The word used in the documentation.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Info => "always 1",
            Self::State => "0 or 1",
        }
    }
}

/// Buckets for statements. A superset of the bounds OpenTelemetry advises, finer from 10 to 250 ms,
/// where round trips through a tunnel lie. Seconds.
pub const QUERY_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];

/// Buckets for connection set-up: nothing there takes less than a millisecond. Seconds.
pub const PHASE_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Time from the end of a statement's request to the end of its answer.
pub static QUERY_DURATION: Metric = Metric {
    name: "db_client_operation_duration_seconds",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &["db_system_name", "target", "db_operation_name", "outcome"],
    help: "Time from the last byte of Query or Execute to the end of its answer as read from the server.",
    buckets: QUERY_BUCKETS,
};

/// Time each phase of connection set-up took.
pub static CONNECT_PHASE_DURATION: Metric = Metric {
    name: "pgferry_connect_phase_duration_seconds",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &["target", "transport", "phase", "outcome"],
    help: "Time each phase of setting up one connection took.",
    buckets: PHASE_BUCKETS,
};

/// Connections that did not reach the database.
pub static CONNECT_FAILURES: Metric = counter(
    "pgferry_connect_failures_total",
    &["target", "phase", "reason"],
    "Connections refused or lost before the application could send its first statement.",
);

/// Connections accepted.
pub static CLIENT_CONNECTIONS_OPENED: Metric = counter(
    "pgferry_client_connections_total",
    &["target", "listener"],
    "Connections accepted from applications.",
);

/// Connections ended.
pub static CLIENT_CONNECTIONS_CLOSED: Metric = counter(
    "pgferry_client_connections_closed_total",
    &["target", "reason"],
    "Connections from applications that ended.",
);

/// Connections open now.
pub static CLIENT_CONNECTIONS: Metric = Metric {
    name: "pgferry_client_connections",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["target", "listener"],
    help: "Connections from applications open now.",
    buckets: &[],
};

/// Errors sent to applications.
pub static ERRORS: Metric = counter(
    "pgferry_errors_total",
    &["target", "severity", "db_response_status_code", "origin"],
    "Errors sent to applications, by SQLSTATE (rare codes folded into their class).",
);

/// Bytes moved.
pub static IO_BYTES: Metric = Metric {
    name: "pgferry_io_bytes_total",
    kind: Kind::Counter,
    unit: Unit::Bytes,
    labels: &["target", "side", "direction"],
    help: "Bytes received (rx) and sent (tx) on the application's side (client) and the database's side (server).",
    buckets: &[],
};

/// Time lost to slow applications.
pub static CLIENT_STALL: Metric = Metric {
    name: "pgferry_client_stall_seconds_total",
    kind: Kind::Counter,
    unit: Unit::Seconds,
    labels: &["target"],
    help: "Time spent blocked on applications that do not read their answers, left out of statement durations.",
    buckets: &[],
};

/// Whether the tunnel stands.
pub static TUNNEL_UP: Metric = Metric {
    name: "pgferry_tunnel_up",
    kind: Kind::Gauge,
    unit: Unit::State,
    labels: &["target", "transport"],
    help: "Whether the transport reports its path as up; absent until it reported for the first time.",
    buckets: &[],
};

/// Cancel requests by fate.
pub static CANCEL_REQUESTS: Metric = counter(
    "pgferry_cancel_requests_total",
    &["target", "result"],
    "Cancel requests received from applications.",
);

/// Reloads by result.
pub static CONFIG_RELOADS: Metric = counter(
    "pgferry_config_reloads_total",
    &["result"],
    "Reloads of the configuration asked for by SIGHUP.",
);

/// When the configuration in use was read.
pub static CONFIG_LOADED: Metric = Metric {
    name: "pgferry_config_loaded_timestamp_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "When the configuration in use was read, in seconds since the Unix epoch.",
    buckets: &[],
};

/// The build that runs.
pub static BUILD_INFO: Metric = info(
    "pgferry_build_info",
    &["version", "commit", "rustc"],
    "The build that runs; the value is always 1.",
);

/// The plugins that are loaded.
pub static PLUGIN_INFO: Metric = info(
    "pgferry_plugin_info",
    &["name", "version", "abi", "sha256"],
    "A plugin in use; sha256 is empty for one that is linked in; the value is always 1.",
);

/// When the process started.
pub static PROCESS_START: Metric = Metric {
    name: "process_start_time_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "When the process started, in seconds since the Unix epoch.",
    buckets: &[],
};

/// The whole table, in the order in which it is documented.
pub static ALL: &[&Metric] = &[
    &QUERY_DURATION,
    &CLIENT_STALL,
    &ERRORS,
    &CONNECT_PHASE_DURATION,
    &CONNECT_FAILURES,
    &CLIENT_CONNECTIONS_OPENED,
    &CLIENT_CONNECTIONS_CLOSED,
    &CLIENT_CONNECTIONS,
    &IO_BYTES,
    &CANCEL_REQUESTS,
    &TUNNEL_UP,
    &CONFIG_RELOADS,
    &CONFIG_LOADED,
    &BUILD_INFO,
    &PLUGIN_INFO,
    &PROCESS_START,
];

/// The table as Markdown, the form in which `docs/metrics.md` holds it.
pub fn markdown() -> String {
    let mut table =
        String::from("| Metric | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n");
    for metric in ALL {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} |",
            metric.name,
            metric.kind.word(),
            metric.unit.word(),
            labels.join(", "),
            metric.help,
        );
    }
    for metric in ALL.iter().filter(|metric| !metric.buckets.is_empty()) {
        let bounds: Vec<String> = metric.buckets.iter().map(ToString::to_string).collect();
        let _ = write!(table, "\nBuckets of `{}`, in {}: ", metric.name, metric.unit.word());
        let _ = writeln!(table, "{}.", bounds.join(", "));
    }
    for (label, values) in label_values() {
        let _ = write!(table, "\nValues of {label}: `{}`.\n", values.join("`, `"));
    }
    table
}

/// The labels whose values are closed sets, and the values.
fn label_values() -> [(&'static str, Vec<&'static str>); 10] {
    [
        ("`outcome` of a statement", Outcome::labels()),
        ("`outcome` of a phase", PhaseOutcome::labels()),
        ("`phase`", Phase::labels()),
        ("`reason` of a closed connection", CloseReason::labels()),
        ("`severity`", Severity::labels()),
        ("`origin`", Origin::labels()),
        ("`side`", Side::labels()),
        ("`direction`", Direction::labels()),
        ("`result` of a cancel request", CancelResult::labels()),
        ("`result` of a reload", ReloadResult::labels()),
    ]
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, labels, help, buckets: &[] }
}

const fn info(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: Unit::Info, labels, help, buckets: &[] }
}
