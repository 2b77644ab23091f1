//! From an accepted socket to a session that the database has opened.

use std::sync::Arc;
use std::time::Duration;

use pgferry_pg::startup::{Outcome, StartupMessage};
use pgferry_telemetry::Phase;
use tokio::time::{Instant, timeout_at};

use super::entering::{Entered, Entering};
use super::timings::Timings;
use super::waiting::Waiting;
use crate::cancel::cancel;
use crate::conversation::Conversation;
use crate::error::ConnectionError;
use crate::frontend::auth::Refused;
use crate::frontend::opening::{Opening, opening};
use crate::frontend::stream::Frontend;
use crate::frontend::tls::Shown;
use crate::relay::Drain;
use crate::sessions::Place;
use crate::socket::Socket;
use crate::target::Target;

/// How long a connection may still say what it wants when the program stops: it may be a cancel
/// request for a query that holds the stop up.
const OPENING_GRACE: Duration = Duration::from_secs(1);

/// What a connection turned out to be.
pub(super) enum Established {
    Session(Box<Opened>),
    /// A cancel request; it has been dealt with.
    Cancelled,
}

/// A session that the database has opened.
pub(super) struct Opened {
    pub(super) startup: StartupMessage,
    pub(super) entered: Entered,
    /// Whether the application has its `AuthenticationOk` already.
    pub(super) welcomed: bool,
    pub(super) timings: Timings,
    /// Counts against the target's limit as long as the session lasts.
    pub(super) place: Place,
}

/// Reads what the application wants, logs it in locally, and only then touches credential and
/// transport.
///
/// Cancel safety: none; dropping it gives the connection up.
pub(super) async fn establish(
    target: &Arc<Target>,
    client: &mut Conversation<Frontend>,
    label: &str,
    drain: &Drain,
    accepted: Instant,
) -> Result<Established, ConnectionError> {
    let limit = target.limits.local_login;
    let in_time = |_| ConnectionError::LocalLoginTimeout(limit);
    let stopping = async {
        drain.soft.cancelled().await;
        tokio::time::sleep(OPENING_GRACE).await;
    };
    let opening = async {
        timeout_at(accepted + limit, opening(client, target.local_tls.as_ref()))
            .await
            .map_err(in_time)?
    };
    let mut timings = Timings::default();
    let opening = unless(stopping, opening).await.inspect_err(|error| {
        if matches!(error, ConnectionError::LocalTls(_)) {
            timings.failed(&target.metrics, Phase::LocalLogin, accepted.elapsed());
            timings.gave_up(&target.metrics, error);
        }
    });
    let Opening { outcome, shown } = opening?;
    let startup = match outcome {
        Outcome::Startup(startup) => startup,
        Outcome::Cancel(key) => {
            target.local_auth.check_owner(&client.stream).await?;
            let cancelled = async {
                cancel(target, &key, label).await;
                Ok(())
            };
            unless(drain.hard.cancelled(), cancelled).await?;
            return Ok(Established::Cancelled);
        }
    };
    if drain.soft.is_cancelled() {
        return Err(ConnectionError::Draining);
    }
    let login = async {
        let login = local_login(target, client, &startup, shown.as_deref());
        timeout_at(accepted + limit, login).await.map_err(in_time)?
    };
    let login = unless(drain.soft.cancelled(), login);
    timings
        .phase(&target.metrics, Phase::LocalLogin, login)
        .await
        .inspect_err(|error| timings.gave_up(&target.metrics, error))?;
    // Only now: whoever has not proved anything must not take the places of those who can.
    let most = target.limits.connections;
    let place = target.sessions.place(most).ok_or(ConnectionError::TooManyConnections(most))?;
    let limit = target.limits.startup;
    let mut waiting = Waiting::new(client, &target.name, &drain.hard, limit);
    if target.carries_logins {
        waiting.keep_quiet();
    }
    let mut entering =
        Entering { target, startup: &startup, label, waiting, timings: &mut timings };
    let entered = entering.run().await;
    let welcomed = entering.waiting.welcomed;
    let entered = entered.inspect_err(|error| timings.gave_up(&target.metrics, error))?;
    Ok(Established::Session(Box::new(Opened { startup, entered, welcomed, timings, place })))
}

/// Gives up when the program stops.
async fn unless<T>(
    stopped: impl Future<Output = ()>,
    work: impl Future<Output = Result<T, ConnectionError>>,
) -> Result<T, ConnectionError> {
    tokio::select! {
        done = work => done,
        () = stopped => Err(ConnectionError::Draining),
    }
}

/// Checks that it came by TLS where it has to, settles the protocol version, then checks who the
/// application is.
async fn local_login(
    target: &Target,
    client: &mut Conversation<Frontend>,
    startup: &StartupMessage,
    shown: Option<&Shown>,
) -> Result<(), ConnectionError> {
    let on_tcp = matches!(client.stream.socket(), Some(Socket::Tcp(_)));
    if shown.is_none() && on_tcp && target.local_tls.as_ref().is_some_and(|tls| tls.required) {
        return Err(ConnectionError::Refused(Refused::NoEncryption));
    }
    if let Some(negotiate) = startup.negotiate() {
        client.send(&negotiate.encode()).await.map_err(|_| ConnectionError::ClientGone)?;
    }
    let end_point = shown.and_then(|shown| shown.end_point.clone());
    target.local_auth.login(client, startup, end_point).await
}
