//! What a session adds to the metrics. Label sets were resolved before it began.

use std::sync::Arc;

use pgferry_pg::session::{self, Event, Session};
use pgferry_pg::{Severity as PgSeverity, SqlState};
use pgferry_telemetry::{
    Direction, Origin, Outcome, QueryHistograms, Severity, Side, TargetMetrics,
};

use crate::cancel_keys::Activity;

/// For an error that carries no SQLSTATE.
const UNKNOWN: &str = "XX000";

pub(super) struct Meter<'a> {
    target: &'a TargetMetrics,
    queries: Arc<QueryHistograms>,
    activity: Arc<Activity>,
    published: u64,
    fatal_seen: bool,
    stopped: bool,
    backend_progress: bool,
    on_read_only: Option<&'a (dyn Fn() + Sync)>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(
        target: &'a TargetMetrics,
        thread: usize,
        activity: Arc<Activity>,
        on_read_only: &'a (dyn Fn() + Sync),
    ) -> Self {
        Self {
            target,
            queries: target.queries(thread),
            activity,
            published: 0,
            fatal_seen: false,
            stopped: false,
            backend_progress: false,
            on_read_only: Some(on_read_only),
        }
    }

    pub(super) fn frontend_bytes(&self, bytes: u64) {
        if bytes > 0 {
            self.target.bytes().io(Side::Client, Direction::Rx, bytes);
            self.target.bytes().io(Side::Server, Direction::Tx, bytes);
        }
    }

    pub(super) fn backend_bytes(&mut self, bytes: u64) {
        if bytes > 0 {
            self.backend_progress = true;
            self.target.bytes().io(Side::Server, Direction::Rx, bytes);
            self.target.bytes().io(Side::Client, Direction::Tx, bytes);
        }
    }

    pub(super) fn stalled(&self, nanos: u64) {
        self.target.stall(nanos);
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Operation(sample) => {
                let outcome = match sample.outcome {
                    session::Outcome::Ok => Outcome::Ok,
                    session::Outcome::Error => Outcome::Error,
                    session::Outcome::Cancelled => Outcome::Cancelled,
                };
                self.queries.record(sample.operation as usize, outcome, sample.duration_nanos);
            }
            Event::Error { severity, sql_state } => {
                let code = sql_state.as_ref().map_or(UNKNOWN, SqlState::as_str);
                self.error(*severity, code);
                self.note(*severity, *sql_state);
            }
            // COMMIT and ROLLBACK are operations of their own already.
            Event::Transaction(_) => {}
        }
    }

    fn error(&mut self, severity: PgSeverity, sql_state: &str) {
        let severity = match severity {
            PgSeverity::Error => Severity::Error,
            PgSeverity::Fatal => Severity::Fatal,
            PgSeverity::Panic => Severity::Panic,
        };
        self.fatal_seen |= severity != Severity::Error;
        self.target.error(severity, sql_state, Origin::Server);
    }

    /// Signs that the endpoint leads elsewhere by now.
    fn note(&mut self, severity: PgSeverity, sql_state: Option<SqlState>) {
        match sql_state {
            Some(SqlState::READ_ONLY_SQL_TRANSACTION) => {
                if let Some(tell) = self.on_read_only.take() {
                    tell();
                }
            }
            Some(SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN) => {
                self.stopped |= severity != PgSeverity::Error;
            }
            _ => {}
        }
    }

    /// Lets cancel requests know whether a query runs, and which.
    pub(super) fn publish(&mut self, session: &Session) {
        let activity = session.activity();
        if activity != self.published {
            self.published = activity;
            self.activity.set(activity);
        }
    }

    /// Whether the database has said that it ends the session.
    pub(super) fn fatal_seen(&self) -> bool {
        self.fatal_seen
    }

    /// Whether it ends the session because it stops itself.
    pub(super) fn server_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether the database has sent anything since the last call.
    pub(super) fn take_backend_progress(&mut self) -> bool {
        std::mem::take(&mut self.backend_progress)
    }
}
