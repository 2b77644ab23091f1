//! The application while it waits for its session.

use std::pin::pin;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use pgferry_pg::Notice;
use pgferry_pg::message::backend::AUTHENTICATION_OK;
use pgferry_telemetry::Phase;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::conversation::Conversation;
use crate::error::ConnectionError;
use crate::frontend::stream::Frontend;

/// How long it waits without a word.
const SILENCE: Duration = Duration::from_secs(3);

/// An application that has logged in, and the time it has left.
pub(super) struct Waiting<'a> {
    pub(super) client: &'a mut Conversation<Frontend>,
    target: &'a str,
    stop: &'a CancellationToken,
    since: Instant,
    limit: Duration,
    /// Whether it has its `AuthenticationOk` already: only behind that may a notice come.
    pub(super) welcomed: bool,
    /// Whether it takes part in a login at the database.
    pub(super) asked: bool,
    told: bool,
}

impl<'a> Waiting<'a> {
    /// From now on, for `limit`.
    pub(super) fn new(
        client: &'a mut Conversation<Frontend>,
        target: &'a str,
        stop: &'a CancellationToken,
        limit: Duration,
    ) -> Self {
        let since = Instant::now();
        Self { client, target, stop, since, limit, welcomed: false, asked: false, told: false }
    }

    /// From now on no word but the database's own: the application is to log in there, which it would not
    /// do behind an `AuthenticationOk`.
    pub(super) fn keep_quiet(&mut self) {
        self.told = true;
    }

    /// Whether there is time for a pause and something after it.
    pub(super) fn has_time_for(&self, pause: Duration) -> bool {
        self.since.elapsed() + pause < self.limit
    }

    /// Does a part of the work of a phase within what is left of the time.
    ///
    /// # Errors
    /// Those of the work; [`ConnectionError::StartupTimeout`].
    pub(super) fn in_time<T, W>(
        &self,
        phase: Phase,
        work: W,
    ) -> impl Future<Output = Result<T, ConnectionError>> + use<T, W>
    where
        W: Future<Output = Result<T, ConnectionError>>,
    {
        let (limit, deadline) = (self.limit, self.since + self.limit);
        async move {
            let done = timeout_at(deadline, work).await;
            done.unwrap_or(Err(ConnectionError::StartupTimeout { limit, phase }))
        }
    }

    /// Does a part of the work unless the application leaves or the program stops. Tells the
    /// application once why nothing happens, if it takes long.
    ///
    /// # Errors
    /// Those of the work; the application has gone, or the program stops.
    ///
    /// # Cancel safety
    /// None; dropping it gives the work up.
    pub(super) async fn during<T>(
        &mut self,
        phase: Phase,
        work: impl Future<Output = Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        let (mut work, stop) = (pin!(work), self.stop);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = self.client.closed_by_peer() => return Err(ConnectionError::ClientGone),
                () = stop.cancelled() => return Err(ConnectionError::Draining),
                () = sleep_until(self.since + SILENCE), if !self.told => {}
            }
            tokio::select! {
                told = self.tell(phase) => told?,
                () = stop.cancelled() => return Err(ConnectionError::Draining),
            }
        }
    }

    /// Does a login in which the application takes part, within what is left of the time and unless the
    /// program stops. The flag is to be set once it was asked for anything.
    ///
    /// # Errors
    /// Those of the work; the time is over, or the program stops.
    ///
    /// # Cancel safety
    /// None; dropping it gives the work up.
    pub(super) async fn taking_part<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Conversation<Frontend>, &mut bool) -> Result<T, ConnectionError>,
    ) -> Result<T, ConnectionError> {
        let (limit, phase) = (self.limit, Phase::Auth);
        let work = timeout_at(self.since + limit, work(self.client, &mut self.asked));
        tokio::select! {
            done = work => done.unwrap_or(Err(ConnectionError::StartupTimeout { limit, phase })),
            () = self.stop.cancelled() => Err(ConnectionError::Draining),
        }
    }

    /// A notice may stand anywhere behind `AuthenticationOk`, and not before: libpq takes anything
    /// else for no PostgreSQL server. What fails afterwards is an error of the same session start to
    /// every client, as an unknown database is.
    async fn tell(&mut self, phase: Phase) -> Result<(), ConnectionError> {
        self.told = true;
        let mut words = BytesMut::new();
        if !self.welcomed {
            words.put_slice(&AUTHENTICATION_OK);
            self.welcomed = true;
        }
        words.put_slice(&notice(self.target, phase, self.limit).encode());
        self.client.send(&words).await.map_err(|_| ConnectionError::ClientGone)
    }
}

fn notice(target: &str, phase: Phase, limit: Duration) -> Notice {
    let what = match phase {
        Phase::LocalLogin | Phase::Credentials => "waiting for the credential",
        Phase::Transport => {
            "waiting for a path to the database, which may be resuming from a pause"
        }
        Phase::Tls | Phase::Auth | Phase::Parameters => {
            "waiting for the database, which may be starting or resuming from a pause"
        }
    };
    Notice {
        message: format!("target \"{target}\": {what}"),
        detail: Some(format!("pgferry waits for up to {limit:?} in all: startup in [limits].")),
    }
}
