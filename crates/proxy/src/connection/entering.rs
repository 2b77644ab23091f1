//! A session at the database: one offer after the other, one try after the other, all within one
//! limit.

use std::net::SocketAddr;
use std::time::Duration;

use pgferry_credentials::{Attempt, Lease, Offer, Proof};
use pgferry_pg::startup::StartupMessage;
use pgferry_telemetry::Phase;
use pgferry_transport::{CloseReason as PathEnd, Purpose};
use tokio::time::{Instant, timeout};

use super::restart::{Restart, is_lost};
use super::timings::Timings;
use super::waiting::Waiting;
use crate::backend::dial::{Path, Wanted, dial};
use crate::backend::identity::Identity;
use crate::backend::login::{LoggedIn, LoginError, login};
use crate::backend::route::Route;
use crate::backend::stream::{Backend, Security};
use crate::backend::tls::{Beginning, TlsError};
use crate::error::ConnectionError;
use crate::passthrough;
use crate::relay::REASON_LIMIT;
use crate::socket::Socket;
use crate::target::Target;

/// Where a session is, and as whom.
pub(super) struct Entered {
    pub(super) user: String,
    pub(super) logged_in: LoggedIn,
    /// The server it is on.
    pub(super) server: Identity,
    /// The way there.
    pub(super) route: Route,
    pub(super) path_end: PathEnd,
}

/// What it takes to open one.
pub(super) struct Entering<'a> {
    pub(super) target: &'a Target,
    pub(super) startup: &'a StartupMessage,
    pub(super) label: &'a str,
    pub(super) waiting: Waiting<'a>,
    pub(super) timings: &'a mut Timings,
}

impl Entering<'_> {
    /// Tries what it is offered until the database takes it. A refusal asks for the next offer; if
    /// there is none, the database's own word is the answer.
    ///
    /// Cancel safety: none; dropping it gives the connection up.
    pub(super) async fn run(&mut self) -> Result<Entered, ConnectionError> {
        let target = self.target;
        let user = String::from_utf8_lossy(self.startup.user());
        let theirs = String::from_utf8_lossy(self.startup.database());
        let database = target.routes.database().unwrap_or(&theirs);
        let mut attempt = target.access.attempt(&user).to_database(database);
        let mut restart = Restart::new(target.sessions.unsettled());
        let mut refusal = None;
        loop {
            let offer = match (self.offer(&mut attempt).await, refusal) {
                (Ok(Some(offer)), _) => offer,
                // It waited for another credential until the time was over: the refusal is why.
                (Ok(None) | Err(ConnectionError::StartupTimeout { .. }), Some(refusal)) => {
                    return Err(refusal);
                }
                (Ok(None), None) => return Err(ConnectionError::NoCredential),
                (Err(error), _) => return Err(error),
            };
            let refused = match self.with(&offer, &mut restart).await {
                Err(error) if error.is_refusal() => error,
                other => return other,
            };
            tracing::debug!(target = target.name, error = %refused, "the credential was refused");
            refusal = Some(refused);
        }
    }

    async fn offer(&mut self, attempt: &mut Attempt<'_>) -> Result<Option<Offer>, ConnectionError> {
        let limit = self.target.limits.credentials;
        let next = async {
            let offer = timeout(limit, attempt.next()).await;
            Ok(offer.map_err(|_| ConnectionError::CredentialsTimeout(limit))??)
        };
        self.phase(Phase::Credentials, next).await
    }

    /// Tries one offer for as long as the database says that it only is not ready.
    async fn with(
        &mut self,
        offer: &Offer,
        restart: &mut Restart,
    ) -> Result<Entered, ConnectionError> {
        loop {
            let error = match self.enter(offer).await {
                Ok(entered) => return Ok(entered),
                Err(error) => error,
            };
            if is_lost(&error) {
                self.target.access.moved();
            }
            // An application that takes part in a login cannot begin another one.
            if self.waiting.asked {
                return Err(error);
            }
            let Some(pause) = restart.pause_after(&error) else { return Err(error) };
            // Spread out, so that clients of one database do not come back together.
            let pause = pause.mul_f64(rand::random_range(1.0..1.25));
            if !self.waiting.has_time_for(pause) {
                return Err(error);
            }
            tracing::info!(target = self.target.name, %error, ?pause, "the database is not ready");
            self.target.sessions.unsettle();
            self.pause(pause).await?;
        }
    }

    async fn pause(&mut self, pause: Duration) -> Result<(), ConnectionError> {
        let pause = async {
            tokio::time::sleep(pause).await;
            Ok(())
        };
        self.waiting.during(Phase::Auth, pause).await
    }

    /// Path, TLS, login: each with its limit.
    async fn enter(&mut self, offer: &Offer) -> Result<Entered, ConnectionError> {
        let (target, lease) = (self.target, &offer.lease);
        let route = target.routes.to(offer).await?;
        if matches!(lease.proof, Proof::Token(_)) && route.tls.security() != Security::VerifiedFull
        {
            return Err(ConnectionError::TokenUnsafe);
        }
        let (backend, security, peer, mut path_end) = self.reach(&route, lease).await?;
        let server = Identity::of(&backend, peer, &route.endpoint.host);
        let backend = (backend, security);
        let logged_in = if matches!(lease.proof, Proof::Application) {
            explained(&mut path_end, self.carry(&route, backend)).await?
        } else {
            let login = server_login(target, &route, backend, self.startup, lease);
            self.login(explained(&mut path_end, login)).await?
        };
        Ok(Entered { user: lease.user.clone(), logged_in, server, route, path_end })
    }

    /// Path and TLS: a second time where TLS without a request seems not to be understood.
    async fn reach(
        &mut self,
        route: &Route,
        lease: &Lease,
    ) -> Result<(Backend, Security, Option<SocketAddr>, PathEnd), ConnectionError> {
        let target = self.target;
        let mut refused = None;
        for beginning in route.tls.beginnings() {
            let path = path(target, route, lease, self.label);
            let Path { socket, mut closed, peer } = self.phase(Phase::Transport, path).await?;
            let tls = explained(&mut closed, tls(target, route, socket, *beginning));
            match self.phase(Phase::Tls, tls).await {
                Ok((backend, security)) => {
                    if *beginning == Beginning::Request {
                        route.tls.not_directly();
                    }
                    return Ok((backend, security, peer, closed));
                }
                Err(ConnectionError::Tls(error)) if error.may_need_a_request() => {
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or(TlsError::Closed).into())
    }

    async fn phase<T>(
        &mut self,
        phase: Phase,
        work: impl Future<Output = Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        // Boxed, so that each future around it does not hold it twice.
        let work = Box::pin(self.waiting.in_time(phase, work));
        let work = self.timings.phase(&self.target.metrics, phase, work);
        self.waiting.during(phase, work).await
    }

    /// Two phases, of which the first one ends where the credential was accepted.
    async fn login(
        &mut self,
        login: impl Future<Output = Result<LoggedIn, ConnectionError>>,
    ) -> Result<LoggedIn, ConnectionError> {
        let began = Instant::now();
        let login = Box::pin(self.waiting.in_time(Phase::Auth, login));
        let (timings, metrics) = (&mut *self.timings, &self.target.metrics);
        let login = async {
            let logged_in = login.await;
            timings.login(metrics, began, &logged_in);
            logged_in
        };
        self.waiting.during(Phase::Auth, login).await
    }

    /// The same two phases of a login that the application does itself.
    async fn carry(
        &mut self,
        route: &Route,
        backend: (Backend, Security),
    ) -> Result<LoggedIn, ConnectionError> {
        let database = route.database.as_deref().map(str::as_bytes);
        // Its user as it came: a name need not be UTF-8.
        let startup = self.startup.for_backend(self.startup.user(), database);
        let startup = startup.map_err(LoginError::from)?;
        let limits = &self.target.limits;
        let began = Instant::now();
        let login = self.waiting.taking_part(async |client, asked| {
            passthrough::login(client, backend, &startup, limits, asked).await
        });
        let logged_in = Box::pin(login).await;
        // A client without a password leaves to ask a person for it: nothing has failed.
        if !matches!(logged_in, Err(ConnectionError::ClientGone)) {
            self.timings.login(&self.target.metrics, began, &logged_in);
        }
        logged_in
    }
}

async fn path(
    target: &Target,
    route: &Route,
    lease: &Lease,
    client_label: &str,
) -> Result<Path, ConnectionError> {
    let (to, user, database) = (&route.dial, Some(lease.user.as_str()), route.database.as_deref());
    let (cluster, purpose) = (route.cluster.as_ref(), Purpose::Session);
    let wanted = Wanted { to, database, cluster, user, purpose, client_label };
    dial(target, &wanted).await.map_err(ConnectionError::Transport)
}

async fn tls(
    target: &Target,
    route: &Route,
    socket: Socket,
    beginning: Beginning,
) -> Result<(Backend, Security), ConnectionError> {
    let limit = target.limits.tls;
    let certificate = target.certificate().await?;
    let connected = timeout(limit, route.tls.connect(socket, beginning, certificate)).await;
    Ok(connected.map_err(|_| ConnectionError::TlsTimeout(limit))??)
}

async fn server_login(
    target: &Target,
    route: &Route,
    (backend, security): (Backend, Security),
    startup: &StartupMessage,
    lease: &Lease,
) -> Result<LoggedIn, ConnectionError> {
    let database = route.database.as_deref().map(str::as_bytes);
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
