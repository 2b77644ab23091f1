//! The relay: bytes untouched, message boundaries known, queries timed.
//!
//! One task drives both directions by poll, so that neither waits for the other: a relay that
//! awaits a write on one side while it has stopped reading the other deadlocks under pipelining. The
//! streams are borrowed: after the end the caller still owns them and can speak to the application.

mod meter;
mod pump;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use pgferry_pg::frame::{FrameError, Side};
use pgferry_pg::session::Session;
use pgferry_telemetry::TargetMetrics;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use self::meter::Meter;
use self::pump::{Fault, Pump};
use crate::backend::stream::Backend;
use crate::cancel_keys::Activity;
use crate::clock::Clock;
use crate::conversation::is_disconnect;
use crate::frontend::stream::Frontend;

/// Bytes read at once. Larger reads cost fewer system calls; beyond this nothing is gained.
const SCRATCH: usize = 128 * 1024;

/// How long a transport gets to say why a path ended, after its end was seen.
pub(crate) const REASON_LIMIT: Duration = Duration::from_millis(50);

thread_local! {
    /// One buffer for all sessions of a relay thread: only what could not be written at once is kept
    /// by a session, so an idle one holds no buffer.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// How a session ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The application said goodbye, or closed.
    ClientClosed,
    /// The application's connection broke, or does not take what it is sent.
    ClientLost,
    /// The application broke the protocol.
    ClientProtocol(FrameError),
    /// The database said why it ends the session, then ended it.
    ServerClosed,
    /// The path to the database broke without a word from the database.
    ServerLost(Option<io::Error>),
    /// The database broke the protocol.
    ServerProtocol(FrameError),
    /// The session was idle, and its server would have ended it soon.
    Outlived,
    /// The session was idle when pgferry was told to stop.
    Drained,
    /// The session was busy, and its time is up.
    DrainedHard,
}

/// What tells sessions that the program stops.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drain {
    /// Idle sessions end.
    pub(crate) soft: CancellationToken,
    /// All sessions end.
    pub(crate) hard: CancellationToken,
}

/// The state of one session's relay.
pub(crate) struct Relay<'a> {
    frontend: &'a mut Frontend,
    backend: &'a mut Backend,
    session: Session,
    meter: Meter<'a>,
    clock: Clock,
    /// From the application to the database.
    up: Pump,
    up_state: Up,
    /// From the database to the application.
    down: Pump,
    client_gone_limit: Duration,
    lifetime: Option<Duration>,
}

/// What a session's relay needs to know besides its streams.
pub(crate) struct Terms<'a> {
    pub(crate) metrics: &'a TargetMetrics,
    /// The relay thread it runs on.
    pub(crate) thread: usize,
    pub(crate) activity: Arc<Activity>,
    /// How long the database may be silent when the application has closed.
    pub(crate) client_gone: Duration,
    /// After what time the session ends as soon as it is idle.
    pub(crate) lifetime: Option<Duration>,
    /// Is told when the database says for the first time that it takes no changes (25006).
    pub(crate) on_read_only: &'a (dyn Fn() + Sync),
}

/// The direction to the database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Up {
    Flowing,
    /// The application has closed; the database is to learn it.
    Closing,
    /// Nothing more goes up.
    Closed,
}

impl<'a> Relay<'a> {
    /// `session` stands at the database's first `ReadyForQuery`; the excess bytes are what was read
    /// from each side beyond the login.
    pub(crate) fn new(
        frontend: (&'a mut Frontend, Bytes),
        backend: (&'a mut Backend, Bytes),
        session: Session,
        terms: Terms<'a>,
    ) -> Self {
        let Terms { metrics, thread, activity, client_gone, lifetime, on_read_only } = terms;
        Self {
            frontend: frontend.0,
            backend: backend.0,
            session,
            meter: Meter::new(metrics, thread, activity, on_read_only),
            clock: Clock::start(),
            up: Pump::new(Side::Frontend, frontend.1),
            up_state: Up::Flowing,
            down: Pump::new(Side::Backend, backend.1),
            client_gone_limit: client_gone,
            lifetime,
        }
    }

    /// Sends `greeting`, then relays until one side ends or `drain` asks for it.
    ///
    /// Cancel safety: bytes that were read but not written are lost with it; both streams stay with
    /// the caller, but are no longer at a known place.
    pub(crate) async fn run(&mut self, greeting: Bytes, drain: &Drain) -> End {
        self.down.preload(&greeting);
        let mut soft = pin!(drain.soft.cancelled());
        let mut hard = pin!(drain.hard.cancelled());
        let mut draining = false;
        let mut outlived = false;
        let mut lifetime = pin!(self.lifetime.map(tokio::time::sleep));
        let mut gone = pin!(None::<Sleep>);
        poll_fn(|cx| {
            draining = draining || soft.as_mut().poll(cx).is_ready();
            if hard.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::DrainedHard);
            }
            let end = BUFFER.with_borrow_mut(|scratch| self.poll(cx, scratch));
            self.meter.publish(&self.session);
            if let Poll::Ready(end) = end {
                return Poll::Ready(end);
            }
            if draining && self.session.is_idle() && self.between_messages() {
                return Poll::Ready(End::Drained);
            }
            if let Some(end) = lifetime.as_mut().as_pin_mut().filter(|_| !outlived) {
                outlived = end.poll(cx).is_ready();
            }
            if outlived && self.session.is_idle() && self.between_messages() {
                return Poll::Ready(End::Outlived);
            }
            self.poll_client_gone(cx, gone.as_mut())
        })
        .await
    }

    /// Whether an error may be put into the stream to the application.
    pub(crate) fn can_speak(&self) -> bool {
        self.down.at_boundary()
    }

    /// Whether the database has ended the session because it stops itself.
    pub(crate) fn server_stopped(&self) -> bool {
        self.meter.server_stopped()
    }

    fn between_messages(&self) -> bool {
        self.up.at_boundary() && self.down.at_boundary()
    }

    fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<End> {
        if let Some(end) = self.poll_up(cx, scratch) {
            return Poll::Ready(end);
        }
        self.poll_down(cx, scratch)
    }

    /// Drives the direction to the database as far as it goes.
    fn poll_up(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Option<End> {
        if self.up_state == Up::Flowing {
            let Self { session, clock, frontend, backend, up, meter, .. } = self;
            let mut now = None;
            let outcome = up.poll(cx, &mut **frontend, &mut **backend, scratch, |message| {
                session.on_frontend(message, *now.get_or_insert_with(|| clock.tick()));
            });
            meter.frontend_bytes(up.take_moved());
            match outcome {
                Poll::Pending => return None,
                Poll::Ready(Ok(())) => self.up_state = Up::Closing,
                Poll::Ready(Err(Fault::Read(_))) => return Some(End::ClientLost),
                Poll::Ready(Err(Fault::Frame(error))) => return Some(End::ClientProtocol(error)),
                // The database has closed its side; what it said before is still to be read.
                Poll::Ready(Err(Fault::Write)) => self.up_state = Up::Closed,
            }
        }
        if self.up_state == Up::Closing && Pin::new(&mut *self.backend).poll_shutdown(cx).is_ready()
        {
            self.up_state = Up::Closed;
        }
        None
    }

    /// Drives the direction to the application as far as it goes.
    fn poll_down(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<End> {
        let Self { session, clock, frontend, backend, down, meter, .. } = self;
        let mut now = None;
        let outcome = down.poll(cx, &mut **backend, &mut **frontend, scratch, |message| {
            let now = *now.get_or_insert_with(|| clock.tick());
            session.on_backend(message, now, &mut |event| meter.event(&event));
        });
        meter.backend_bytes(down.take_moved());
        if down.is_blocked() {
            clock.stall();
        } else if let Some(nanos) = clock.resume() {
            meter.stalled(nanos);
        }
        Poll::Ready(match ready!(outcome) {
            Ok(()) => self.server_ended(None),
            Err(Fault::Read(error)) if is_disconnect(&error) => self.server_ended(None),
            Err(Fault::Read(error)) => self.server_ended(Some(error)),
            Err(Fault::Write) => End::ClientLost,
            Err(Fault::Frame(error)) => End::ServerProtocol(error),
        })
    }

    fn server_ended(&self, error: Option<io::Error>) -> End {
        if self.session.terminated() || self.up_state != Up::Flowing && self.up.ended() {
            End::ClientClosed
        } else if self.meter.fatal_seen() {
            End::ServerClosed
        } else {
            End::ServerLost(error)
        }
    }

    /// An application that has closed cannot ask for anything more: the session lasts as long as
    /// the database still sends, and a while.
    fn poll_client_gone(
        &mut self,
        cx: &mut Context<'_>,
        mut gone: Pin<&mut Option<Sleep>>,
    ) -> Poll<End> {
        if self.up_state == Up::Flowing {
            return Poll::Pending;
        }
        let sent_something = self.meter.take_backend_progress();
        match gone.as_mut().as_pin_mut() {
            None => gone.set(Some(tokio::time::sleep(self.client_gone_limit))),
            Some(sleep) if sent_something => sleep.reset(Instant::now() + self.client_gone_limit),
            Some(_) => {}
        }
        match gone.as_pin_mut() {
            Some(sleep) => sleep.poll(cx).map(|()| self.server_ended(None)),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests;
