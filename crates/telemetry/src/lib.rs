//! Metrics, health and the admin listener.
//!
//! What it is: the one table of metric names ([`catalog`]), the handles through which the rest of
//! the program counts and times ([`Telemetry`], [`TargetMetrics`], [`QueryHistograms`]), what is
//! known about readiness ([`Health`]), and the small HTTP server that shows both ([`serve_admin`]).
//!
//! What it is not: it opens no listener of its own, starts no task, reads no configuration and
//! knows no PostgreSQL: operation names, targets and reasons come in from the caller.
//!
//! Counters and gauges live in `metrics-exporter-prometheus`. Durations live in arrays of our own,
//! because the exporter keeps every raw histogram sample until somebody scrapes, and a local tool
//! usually is not scraped.
//!
//! Start from [`Telemetry`], [`TargetMetrics`] and [`Health`].

pub mod catalog;

mod admin;
mod connection;
mod exporter;
mod exposition;
mod health;
mod histogram;
mod host;
mod labels;
mod phases;
mod plugin;
mod queries;
mod sql_state;
mod target;
mod telemetry;

pub use admin::serve_admin;
pub use connection::ConnectionGuard;
pub use health::{Health, TargetHealth, TunnelState};
pub use histogram::BucketsError;
pub use labels::{
    CancelResult, CloseReason, Direction, Origin, Outcome, Phase, PhaseOutcome, ReloadResult,
    Severity, Side,
};
pub use plugin::{MetricId, MetricKind, PluginInfo, PluginMetrics, RegisterError};
pub use queries::QueryHistograms;
pub use target::{IoCounters, TargetMetrics};
pub use telemetry::{BuildInfo, InstallError, Settings, Telemetry};
