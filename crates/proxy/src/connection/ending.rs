//! How sessions end: what the application is told, and what the metrics are.

use std::time::Duration;

use pgferry_endpoint::{Endpoint, Kind};
use pgferry_pg::{ErrorReport, SqlState};
use pgferry_telemetry::CloseReason;
use tokio::time::Instant;

use crate::relay::End;

/// How long a session may last where the database itself sets a time for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    since: Instant,
    limit: Option<Duration>,
}

/// Aurora DSQL closes connections at 60 minutes. Source: "Cluster quotas and database limits" of its
/// user guide. A minute before, nobody is hit in the middle of something.
const DSQL: Duration = Duration::from_mins(59);

const SHORTER_LIVES: &str = "Connect again. A connection pool should replace its connections \
                             sooner: set its maximum lifetime to 55 minutes.";

impl Lifetime {
    /// That of a session that begins now at an endpoint.
    pub(super) fn at(host: &str) -> Self {
        let dsql = Endpoint::parse(host).kind == Kind::Dsql;
        Self { since: Instant::now(), limit: dsql.then_some(DSQL) }
    }

    /// When to end it, if it is idle then or later.
    pub(super) fn limit(self) -> Option<Duration> {
        self.limit
    }

    fn is_over(self) -> bool {
        self.limit.is_some_and(|limit| self.since.elapsed() >= limit)
    }
}

/// What the application is told about an end that the database did not explain itself. `why` is the
/// transport's word for it.
pub(super) fn report(
    target: &str,
    end: &End,
    why: Option<&str>,
    lifetime: Lifetime,
) -> Option<ErrorReport> {
    match end {
        End::ClientClosed | End::ClientLost | End::ServerClosed => None,
        End::ClientProtocol(error) => {
            let message = format!("target \"{target}\": client: {error}");
            Some(
                ErrorReport::fatal(SqlState::PROTOCOL_VIOLATION, message)
                    .with_hint("The application's driver is at fault; try another version of it."),
            )
        }
        End::ServerProtocol(error) => {
            let message = format!("target \"{target}\": session: from the server: {error}");
            Some(ErrorReport::fatal(SqlState::PROTOCOL_VIOLATION, message).with_hint(
                "Whether the last statement took effect is not known. Something on the way damages \
                 what the database sends, or it is no PostgreSQL server.",
            ))
        }
        End::ServerLost(_) if lifetime.is_over() => {
            let message = format!(
                "target \"{target}\": session: Aurora DSQL has ended the session after 60 minutes"
            );
            Some(ErrorReport::fatal(SqlState::ADMIN_SHUTDOWN, message).with_hint(format!(
                "Whether the last statement or commit took effect is not known. {SHORTER_LIVES}"
            )))
        }
        End::ServerLost(error) => {
            let why = match (why, error) {
                (Some(why), _) if !why.is_empty() => why.to_owned(),
                (_, Some(error)) => {
                    format!("session: the connection to the database broke: {error}")
                }
                (_, None) => "session: the connection to the database was closed".to_owned(),
            };
            let message = format!("target \"{target}\": {why}");
            Some(ErrorReport::fatal(SqlState::CONNECTION_FAILURE, message).with_hint(
                "Whether the last statement or commit took effect is not known. Connect again: \
                 pgferry opens a new path.",
            ))
        }
        End::Outlived => {
            let message = format!(
                "target \"{target}\": session: Aurora DSQL ends every session after 60 minutes, and \
                 this one is idle"
            );
            Some(ErrorReport::fatal(SqlState::ADMIN_SHUTDOWN, message).with_hint(SHORTER_LIVES))
        }
        End::Drained | End::DrainedHard => {
            let message = format!("target \"{target}\": session: pgferry is shutting down");
            Some(
                ErrorReport::fatal(SqlState::ADMIN_SHUTDOWN, message)
                    .with_hint("Connect again when pgferry has been restarted."),
            )
        }
    }
}

/// The word for the metric of closed connections.
pub(super) fn close_reason(end: &End) -> CloseReason {
    match end {
        End::ClientClosed => CloseReason::ClientClosed,
        End::ClientLost => CloseReason::ClientLost,
        End::ServerClosed => CloseReason::ServerClosed,
        End::ServerLost(_) => CloseReason::TransportLost,
        End::Outlived => CloseReason::TimedOut,
        End::ClientProtocol(_) | End::ServerProtocol(_) => CloseReason::ProtocolError,
        End::Drained | End::DrainedHard => CloseReason::Shutdown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "abtxyz4u5k6m7n8o9p0qrstuvw.dsql.us-east-1.on.aws";

    #[tokio::test(start_paused = true)]
    async fn a_session_that_dsql_cuts_off_is_explained_by_its_age() {
        let lifetime = Lifetime::at(CLUSTER);
        let told = || report("db", &End::ServerLost(None), None, lifetime).unwrap();
        assert_eq!(told().sql_state, SqlState::CONNECTION_FAILURE);
        tokio::time::advance(DSQL).await;
        assert_eq!(told().sql_state, SqlState::ADMIN_SHUTDOWN);
        assert!(told().hint.unwrap().contains("55 minutes"), "{:?}", told());
        let elsewhere = Lifetime::at("db.example");
        tokio::time::advance(DSQL * 2).await;
        let told = report("db", &End::ServerLost(None), None, elsewhere).unwrap();
        assert_eq!(told.sql_state, SqlState::CONNECTION_FAILURE);
    }
}
