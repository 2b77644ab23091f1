//! One SSM session: how it is started, kept over `WebSocket`s that break, and ended.

use std::sync::Arc;
use std::time::Duration;

use pgferry_ssm_protocol::Limits as ChannelLimits;
use pgferry_transport_sdk::{Error, State};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use crate::destination::Destination;
use crate::dial::Socket;
use crate::drive::{Ended, Patience, drive, say_goodbye};
use crate::environment::Environment;
use crate::figure::{Figure, Resume};
use crate::line::{Line, Standing, Terms};
use crate::persistence::Persistence;
use crate::refusal;
use crate::service::{Service, random_uuid};

/// A session that takes connections.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) line: Arc<Line>,
    /// As the service calls it.
    pub(crate) id: Arc<str>,
    pub(crate) started_at: Instant,
}

/// What bounds a session.
pub(crate) struct Limits {
    /// When it has to be there.
    pub(crate) until: Instant,
    pub(crate) patience: Patience,
    /// Whether the transport is on its way out.
    pub(crate) closing: watch::Receiver<bool>,
}

/// The one who keeps a session going.
pub(crate) struct Keeper<E> {
    service: Arc<Service<E>>,
    session: Session,
    socket: Socket,
    url: String,
    client_id: Uuid,
    patience: Patience,
    /// How many signs of life the agent had given when it was last found silent.
    doubted_at: Option<u64>,
}

/// Starts a session and opens its data channel. The handshake is still to come: [`ready`] waits for it.
///
/// Errors: whose fault it is. A session that was started is ended again.
pub(crate) async fn start<E: Environment>(
    service: Arc<Service<E>>,
    to: &Destination,
    mut limits: Limits,
) -> Result<(Session, Keeper<E>), Error> {
    let (node, ticket) = service.begin(to, limits.until, &mut limits.closing).await?;
    let client_id = random_uuid();
    let dialled = tokio::select! {
        dialled = Box::pin(service.dial(&ticket.url, &ticket.token, client_id)) => dialled,
        _ = limits.closing.wait_for(|closing| *closing) => Err(refusal::shutting_down()),
    };
    let socket = match dialled {
        Ok(socket) => socket,
        Err(error) => {
            service.terminate(&ticket.session).await;
            return Err(error);
        }
    };
    let line = Line::new(to.clone(), node, &terms(&service));
    line.connected();
    let session = Session { line, id: ticket.session.into(), started_at: Instant::now() };
    let url = ticket.url;
    let (kept, patience, doubted_at) = (session.clone(), limits.patience, None);
    let keeper = Keeper { service, session: kept, socket, url, client_id, patience, doubted_at };
    Ok((session, keeper))
}

/// Waits until data may flow.
///
/// Errors: timeout, or why the session is over already. It is ended in either case.
pub(crate) async fn ready(session: &Session, until: Instant) -> Result<(), Error> {
    let until = until.min(Instant::now() + HANDSHAKE_LIMIT);
    let mut standing = session.line.standing();
    let decided = standing.wait_for(|standing| !matches!(standing, Standing::Opening));
    match timeout_at(until, decided).await {
        Ok(Ok(standing)) => match &*standing {
            Standing::Over(error) => Err(error.clone()),
            Standing::Opening | Standing::Open => Ok(()),
        },
        Ok(Err(_)) => Err(refusal::shutting_down()),
        Err(_) => {
            let error = match session.line.broken() {
                Some(reason) => refusal::resuming(&reason),
                None => refusal::silent_agent(&session.line.node),
            };
            session.line.end(error.clone());
            Err(error)
        }
    }
}

impl<E: Environment> Keeper<E> {
    /// Keeps the session until nobody needs it, it is over or it cannot be resumed; then ends it.
    pub(crate) async fn run(mut self) {
        let line = Arc::clone(&self.session.line);
        let session = Arc::clone(&self.session.id);
        tracing::info!(%session, node = line.node, to = %line.to, "session started");
        let resume_for = self.service.config.resume_for();
        let mut persistence = Persistence::new(resume_for, Instant::now());
        let reason = loop {
            let ended =
                drive(&mut self.socket, &line, self.patience, &self.service.environment).await;
            let lost = match ended {
                Ended::Over => break "it is over".to_owned(),
                Ended::Unused => break "no connection used it".to_owned(),
                Ended::Lost(reason) => Ok(reason),
                Ended::Silent(silence) => self.doubt(silence),
            };
            if let Err(error) = self.go_on(lost, &mut persistence).await {
                line.end(error.clone());
                break error.message().to_owned();
            }
            tracing::info!(%session, "session resumed");
            self.service.environment.report(State::Up, "session resumed");
        };
        line.end(refusal::shutting_down());
        say_goodbye(&mut self.socket, &line).await;
        self.service.terminate(&session).await;
        let why = line.fate().map_or(reason, |error| error.message().to_owned());
        tracing::info!(%session, reason = why, "session ended");
    }

    /// The agent is silent: a new WebSocket may mend that, and the service says if the session is over. If there has been
    /// no sign of life since the last such attempt, the agent is gone.
    fn doubt(&mut self, silence: Duration) -> Result<String, Error> {
        let line = &self.session.line;
        let signs = line.signs_of_life();
        if self.doubted_at.replace(signs) == Some(signs) {
            return Err(refusal::dead_agent(&line.node, silence * 2));
        }
        Ok(format!("nothing is heard from the SSM agent for {silence:.0?}"))
    }

    async fn go_on(
        &mut self,
        lost: Result<String, Error>,
        persistence: &mut Persistence,
    ) -> Result<(), Error> {
        let reason = lost?;
        let signs = self.session.line.signs_of_life();
        self.session.line.disconnected(&reason);
        self.record(Figure::Loss, 1.0);
        let lost_at = Instant::now();
        persistence.on_lost(lost_at, signs);
        self.socket = self.resume(&reason, persistence).await?;
        persistence.on_connected(Instant::now(), signs);
        self.session.line.connected();
        self.record(Figure::Interruption, lost_at.elapsed().as_secs_f64());
        Ok(())
    }

    /// A new WebSocket for the session, as long as somebody needs it.
    async fn resume(&self, reason: &str, persistence: &mut Persistence) -> Result<Socket, Error> {
        tracing::info!(session = %self.session.id, reason, "resuming the session");
        self.service
            .environment
            .report(State::Degraded, &format!("resuming the session: {reason}"));
        tokio::select! {
            biased;
            error = self.abandoned() => Err(error),
            resumed = self.try_to_resume(reason, persistence) => resumed,
        }
    }

    async fn try_to_resume(
        &self,
        reason: &str,
        persistence: &mut Persistence,
    ) -> Result<Socket, Error> {
        let mut reason = reason.to_owned();
        loop {
            let Some(wait) = persistence.wait(Instant::now(), rand::random()) else {
                self.record(Figure::Resume(Resume::GivenUp), 1.0);
                return Err(refusal::lost(&reason));
            };
            sleep(wait).await;
            let resuming = self.service.resume(&self.session.id, &self.url, self.client_id);
            match Box::pin(resuming).await {
                Ok(Some(socket)) => {
                    self.record(Figure::Resume(Resume::Ok), 1.0);
                    return Ok(socket);
                }
                Ok(None) => {
                    self.record(Figure::Resume(Resume::Gone), 1.0);
                    return Err(refusal::gone());
                }
                Err(error) => {
                    tracing::debug!(session = %self.session.id, %error, "not resumed yet");
                    error.message().clone_into(&mut reason);
                }
            }
        }
    }

    fn record(&self, figure: Figure, value: f64) {
        self.service.environment.record(figure, value);
    }

    /// Waits until nobody needs the session.
    async fn abandoned(&self) -> Error {
        let line = &self.session.line;
        let mut standing = line.standing();
        loop {
            if let Some(error) = line.fate() {
                return error;
            }
            standing.mark_unchanged();
            if line.retire_unused(Duration::ZERO) {
                return Error::internal("no connection used it");
            }
            tokio::select! {
                _ = standing.changed() => {}
                () = line.freed.notified() => {}
            }
        }
    }
}

fn terms<E: Environment>(service: &Service<E>) -> Terms {
    let mut limits = ChannelLimits { unsent_bytes: UNSENT, ..ChannelLimits::default() };
    if let Some(messages) = service.config.messages_per_second {
        limits.messages_per_second = messages.get();
    }
    let unix = service.environment.now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    Terms {
        limits,
        keep_alive: service.config.keep_alive.map(|interval| interval.0),
        seed: random_uuid(),
        unix: unix.unwrap_or_default(),
    }
}

/// How long the agent may take to answer: it has to be told of the session first.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// What waits here cannot be overtaken by another connection.
const UNSENT: usize = 16 * 1024;
