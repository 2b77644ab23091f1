//! From an accepted socket to a session that the database has opened.

use std::sync::Arc;
use std::time::Duration;

use pgferry_credentials::{Lease, Offer};
use pgferry_pg::startup::{Outcome, StartupMessage};
use pgferry_telemetry::Phase;
use pgferry_transport::{CloseReason as PathEnd, Purpose};
use tokio::time::{Instant, timeout, timeout_at};

use super::timings::Timings;
use crate::backend::dial::{Path, Wanted, dial};
use crate::backend::identity::Identity;
use crate::backend::login::{LoggedIn, LoginError, login};
use crate::backend::stream::{Backend, Security};
use crate::backend::tls::TlsError;
use crate::cancel::cancel;
use crate::conversation::Conversation;
use crate::error::ConnectionError;
use crate::frontend::auth::Refused;
use crate::frontend::opening::{Opening, opening};
use crate::frontend::stream::Frontend;
use crate::frontend::tls::Shown;
use crate::relay::{Drain, REASON_LIMIT};
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
    pub(super) user: String,
    pub(super) logged_in: LoggedIn,
    /// The server it is on.
    pub(super) server: Identity,
    pub(super) path_end: PathEnd,
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
    let opening = unless(stopping, opening).await.inspect_err(|error| {
        if matches!(error, ConnectionError::LocalTls(_)) {
            Timings::failed(&target.metrics, Phase::LocalLogin, accepted.elapsed(), error);
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
    let mut timings = Timings::default();
    let login = async {
        let login = local_login(target, client, &startup, shown.as_deref());
        timeout_at(accepted + limit, login).await.map_err(in_time)?
    };
    let login = unless(drain.soft.cancelled(), login);
    timings.phase(&target.metrics, Phase::LocalLogin, login).await?;
    // Only now: whoever has not proved anything must not take the places of those who can.
    let most = target.limits.connections;
    let place = target.sessions.place(most).ok_or(ConnectionError::TooManyConnections(most))?;
    let opened = tokio::select! {
        opened = open(target, startup, timings, place, label) => opened?,
        () = client.closed_by_peer() => return Err(ConnectionError::ClientGone),
        () = drain.hard.cancelled() => return Err(ConnectionError::Draining),
    };
    Ok(Established::Session(Box::new(opened)))
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

/// Credential, path, TLS, login: each with its limit.
async fn open(
    target: &Target,
    startup: StartupMessage,
    mut timings: Timings,
    place: Place,
    label: &str,
) -> Result<Opened, ConnectionError> {
    let metrics = &target.metrics;
    let Offer { lease, .. } =
        timings.phase(metrics, Phase::Credentials, offer(target, &startup)).await?;
    let user = lease.user.clone();
    let path = async {
        let (to, user) = (&target.dial, Some(user.as_str()));
        let wanted = Wanted { to, user, purpose: Purpose::Session, client_label: label };
        dial(target, &wanted).await.map_err(ConnectionError::Transport)
    };
    let Path { socket, closed: mut path_end, peer } =
        timings.phase(metrics, Phase::Transport, path).await?;
    let tls = explained(&mut path_end, tls(target, socket));
    let (backend, security) = timings.phase(metrics, Phase::Tls, tls).await?;
    let server = Identity::of(&backend, peer, &target.endpoint);
    let began = Instant::now();
    let login = explained(&mut path_end, server_login(target, backend, security, &startup, &lease));
    let logged_in = login.await.inspect_err(|error| {
        Timings::failed(metrics, Phase::Auth, began.elapsed(), error);
    })?;
    timings.passed(metrics, Phase::Auth, logged_in.authenticated_at - began);
    timings.passed(metrics, Phase::Parameters, logged_in.authenticated_at.elapsed());
    Ok(Opened { startup, user, logged_in, server, path_end, timings, place })
}

async fn offer(target: &Target, startup: &StartupMessage) -> Result<Offer, ConnectionError> {
    let limit = target.limits.credentials;
    let user = String::from_utf8_lossy(startup.user());
    let mut attempt = target.access.attempt(&user);
    let offer = timeout(limit, attempt.next()).await;
    let offer = offer.map_err(|_| ConnectionError::CredentialsTimeout(limit))??;
    offer.ok_or(ConnectionError::CredentialsTimeout(limit))
}

async fn tls(target: &Target, socket: Socket) -> Result<(Backend, Security), ConnectionError> {
    let limit = target.limits.tls;
    let connected = timeout(limit, target.tls.connect(socket)).await;
    Ok(connected.map_err(|_| ConnectionError::TlsTimeout(limit))??)
}

async fn server_login(
    target: &Target,
    backend: Backend,
    security: Security,
    startup: &StartupMessage,
    lease: &Lease,
) -> Result<LoggedIn, ConnectionError> {
    let database = target.database.as_deref().map(str::as_bytes);
    let startup = startup.for_backend(lease.user.as_bytes(), database).map_err(LoginError::from)?;
    let limit = target.limits.server_login;
    let logged_in = timeout(limit, login(backend, security, &startup, lease)).await;
    Ok(logged_in.map_err(|_| ConnectionError::LoginTimeout(limit))??)
}

/// Puts the transport's own words in the place of a bare "connection closed", if it has any.
async fn explained<T>(
    path_end: &mut PathEnd,
    work: impl Future<Output = Result<T, ConnectionError>>,
) -> Result<T, ConnectionError> {
    let error = match work.await {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    let lost = matches!(
        error,
        ConnectionError::Tls(TlsError::Closed | TlsError::Io(_))
            | ConnectionError::Login(LoginError::Closed | LoginError::Io(_))
    );
    if lost
        && let Some(closed) = path_end.wait(REASON_LIMIT).await
        && !closed.message.is_empty()
    {
        return Err(ConnectionError::PathLost(closed.message));
    }
    Err(error)
}
