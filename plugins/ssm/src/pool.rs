//! The sessions of a transport: one for each connection up to a limit, shared beyond it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgferry_transport_sdk::{Error, State};
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, timeout_at};

use crate::carry::Connection;
use crate::config::Config;
use crate::destination::Destination;
use crate::drive::Patience;
use crate::environment::Environment;
use crate::figure::{Figure, Start};
use crate::lane::Lane;
use crate::line::Load;
use crate::refusal;
use crate::service::Service;
use crate::session::{self, Limits, Session};
use crate::target::Selector;

/// One managed node's sessions. They are started when they are needed, one of them ahead of need, and ended when
/// nobody has used them for a while.
pub struct Pool<E> {
    config: Config,
    selector: Selector,
    environment: E,
    service: OnceCell<Arc<Service<E>>>,
    table: Mutex<Table>,
    /// How many sessions there are, or are being started, for whoever waits for none.
    alive: watch::Sender<usize>,
    closing: watch::Sender<bool>,
}

/// An open, and how long it may take.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where it leads.
    pub to: Destination,
    /// When it has to be answered.
    pub deadline: Instant,
    /// How long the database may take to say its first word.
    pub first_answer: Duration,
    /// How old a session has to be for another one to be tried when it could not connect: agents look the database's name
    /// up once for each session.
    pub renew_after: Duration,
    /// How long a session may outlive its last connection.
    pub idle_limit: Duration,
    /// How long an agent may give no sign of life while it owes receipts. After twice that its sessions end.
    pub agent_silence: Duration,
    /// Whether more connections are likely to follow.
    pub kind: Kind,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session with the database: it gets an SSM session of its own if there is room.
    Session,
    /// A short errand, which any SSM session will do for.
    Errand,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<Destination, Vec<Session>>,
    starting: HashMap<Destination, Vec<Attempt>>,
    numbers: u64,
}

/// A session that is being started.
struct Attempt {
    number: u64,
    outcome: Outcome,
    /// Whether somebody waits for it.
    claimed: bool,
}

impl Table {
    /// Takes a session for connections. One that is over already has been forgotten, and would stay for ever.
    fn admit(&mut self, session: &Session) -> Result<(), Error> {
        if let Some(error) = session.line.fate() {
            return Err(error);
        }
        self.sessions.entry(session.line.to.clone()).or_default().push(session.clone());
        Ok(())
    }
}

type Outcome = watch::Receiver<Option<Result<(), Error>>>;

/// How a client comes by a stream.
enum Way {
    Open(Lane, Session),
    /// Somebody is starting a session.
    Wait(Outcome),
    Closing,
}

impl<E: Environment> Pool<E> {
    /// A pool without sessions; makes no call.
    ///
    /// Errors: config.
    pub fn new(config: Config, environment: E) -> Result<Arc<Self>, Error> {
        config.check().map_err(Error::config)?;
        let selector = config.selector().map_err(Error::config)?;
        let (service, table) = (OnceCell::new(), Mutex::default());
        let (alive, closing) = (watch::Sender::new(0), watch::Sender::new(false));
        Ok(Arc::new(Self { config, selector, environment, service, table, alive, closing }))
    }

    /// Opens a connection to the database. That it is open does not mean that the database is there.
    ///
    /// Errors: every failure on the way to the managed node, with whose fault it is.
    ///
    /// Cancel safety: a session that is being started goes on, for the next one.
    pub async fn open(self: &Arc<Self>, order: &Order) -> Result<Connection<E>, Error> {
        let (lane, session) = self.lane(order).await?;
        // One connection's session ahead of need would be a connection that its server gives up soon.
        let ahead = self.config.open_ahead.unwrap_or(true) && !session.line.is_raw();
        if order.kind == Kind::Session && ahead {
            self.open_ahead(order);
        }
        Ok(Connection::new(Arc::clone(self), order.clone(), lane, session))
    }

    /// Ends all sessions, and waits until the service knows.
    ///
    /// Cancel safety: they are ending in any case.
    pub async fn close(&self) {
        self.end_sessions();
        // It never fails: the sender is here.
        drop(self.alive.subscribe().wait_for(|alive| *alive == 0).await);
    }

    /// How many sessions there are or are being started.
    pub fn sessions(&self) -> usize {
        *self.alive.borrow()
    }

    /// A stream on a session that was not there `before`, since agents look names up once for each session. Those that
    /// were get no more connections.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        order: &Order,
        before: Instant,
    ) -> Result<(Lane, Session), Error> {
        for session in self.lock().sessions.get(&order.to).into_iter().flatten() {
            if session.started_at <= before {
                session.line.retire();
            }
        }
        self.lane(order).await
    }

    async fn lane(self: &Arc<Self>, order: &Order) -> Result<(Lane, Session), Error> {
        let mut failed = None;
        loop {
            let mut outcome = match self.way(order, failed.is_some()) {
                Some(Way::Open(lane, session)) => return Ok((lane, session)),
                Some(Way::Wait(outcome)) => outcome,
                Some(Way::Closing) => return Err(refusal::shutting_down()),
                None => return Err(failed.unwrap_or_else(refusal::shutting_down)),
            };
            match timeout_at(order.deadline, outcome.wait_for(Option::is_some)).await {
                Err(_) => {
                    let node = self.selector.words();
                    return Err(failed.unwrap_or_else(|| refusal::not_started(&node)));
                }
                Ok(Err(_)) => return Err(refusal::shutting_down()),
                Ok(Ok(outcome)) => {
                    if let Some(Err(error)) = &*outcome {
                        failed = Some(error.clone());
                    }
                }
            }
        }
    }

    /// The way to a stream: an unused session, one that is being started, a new one, or the one with the fewest
    /// connections. After a failure no other is started.
    fn way(self: &Arc<Self>, order: &Order, failed: bool) -> Option<Way> {
        let mut table = self.lock();
        if *self.closing.borrow() {
            return Some(Way::Closing);
        }
        let sessions = table.sessions.get(&order.to).map_or(&[][..], Vec::as_slice);
        let mut usable: Vec<(Load, &Session)> =
            sessions.iter().filter_map(|session| Some((session.line.load()?, session))).collect();
        usable.sort_by_key(|(load, session)| (*load, session.started_at));
        let count = usable.len();
        let least = usable.first().map(|(load, _)| load.connections);
        let starting = table.starting.get(&order.to).map_or(&[][..], Vec::as_slice);
        let spare = starting.iter().any(|attempt| !attempt.claimed);
        let room = count + starting.len() < self.config.max_sessions();
        let shares = !(room || spare) || failed || order.kind == Kind::Errand;
        if least == Some(0) || shares {
            let opened = usable.iter().find_map(|(_, session)| {
                session.line.open().map(|lane| Way::Open(lane, (*session).clone()))
            });
            if opened.is_some() {
                return opened;
            }
        }
        if failed {
            return None;
        }
        let attempts = table.starting.entry(order.to.clone()).or_default();
        attempts.sort_by_key(|attempt| attempt.claimed);
        if let Some(attempt) = attempts.first_mut().filter(|attempt| !attempt.claimed || !room) {
            attempt.claimed = true;
            return Some(Way::Wait(attempt.outcome.clone()));
        }
        Some(Way::Wait(self.start(&mut table, order, true)))
    }

    /// Starts one more session if all are used and there is room for it.
    fn open_ahead(self: &Arc<Self>, order: &Order) {
        let mut table = self.lock();
        let sessions = table.sessions.get(&order.to).map_or(&[][..], Vec::as_slice);
        let loads: Vec<Load> = sessions.iter().filter_map(|session| session.line.load()).collect();
        let starting = table.starting.get(&order.to).map_or(&[][..], Vec::as_slice);
        let spare = loads.iter().any(|load| load.connections == 0)
            || starting.iter().any(|attempt| !attempt.claimed);
        let room = loads.len() + starting.len() < self.config.max_sessions();
        if !spare && room && !*self.closing.borrow() {
            drop(self.start(&mut table, order, false));
        }
    }

    /// In a task of the transport's: a client that goes away must not leave a session behind that nobody knows.
    fn start(self: &Arc<Self>, table: &mut Table, order: &Order, claimed: bool) -> Outcome {
        let (tell, outcome) = watch::channel(None);
        table.numbers += 1;
        let number = table.numbers;
        let attempt = Attempt { number, outcome: outcome.clone(), claimed };
        table.starting.entry(order.to.clone()).or_default().push(attempt);
        let alive = Alive::new(&self.alive);
        let (pool, order) = (Arc::clone(self), order.clone());
        self.environment.spawn(async move {
            let _alive = alive;
            let started = Box::pin(pool.try_start(&order)).await;
            pool.environment.record(Figure::Start(Start::of(&started)), 1.0);
            if let Err(error) = &started {
                pool.environment.report(State::Down, error.message());
                tracing::debug!(%error, "no session");
            }
            // Before the outcome is told, so that whoever waits finds the session and not the attempt.
            if let Some(attempts) = pool.lock().starting.get_mut(&order.to) {
                attempts.retain(|attempt| attempt.number != number);
            }
            tell.send_replace(Some(started));
        });
        outcome
    }

    async fn try_start(self: &Arc<Self>, order: &Order) -> Result<(), Error> {
        let make = || async {
            let (config, selector) = (self.config.clone(), self.selector.clone());
            Service::new(config, selector, self.environment.clone()).await.map(Arc::new)
        };
        let service = Arc::clone(self.service.get_or_try_init(make).await?);
        let until = order.deadline.max(Instant::now() + LEAST_TIME);
        let patience = Patience::new(order.idle_limit, order.agent_silence);
        let limits = Limits { until, patience, closing: self.closing.subscribe() };
        let (session, keeper) = Box::pin(session::start(service, &order.to, limits)).await?;
        let alive = Alive::new(&self.alive);
        let (pool, kept) = (Arc::clone(self), session.clone());
        self.environment.spawn(async move {
            let _alive = alive;
            Box::pin(keeper.run()).await;
            pool.forget(&kept);
        });
        let mut closing = self.closing.subscribe();
        let ready = tokio::select! {
            ready = session::ready(&session, until) => ready,
            _ = closing.wait_for(|closing| *closing) => Err(refusal::shutting_down()),
        };
        let mut table = self.lock();
        // One that is only just being started must not outlive the transport.
        if *self.closing.borrow() {
            session.line.end(refusal::shutting_down());
        }
        ready?;
        table.admit(&session)?;
        self.count(&table);
        drop(table);
        let text = format!("session {} on {} is open", session.id, session.line.node);
        self.environment.report(State::Up, &text);
        Ok(())
    }

    fn end_sessions(&self) {
        let table = self.lock();
        self.closing.send_replace(true);
        for session in table.sessions.values().flatten() {
            session.line.end(refusal::shutting_down());
        }
    }

    fn forget(&self, session: &Session) {
        let mut table = self.lock();
        if let Some(sessions) = table.sessions.get_mut(&session.line.to) {
            sessions.retain(|other| !Arc::ptr_eq(&other.line, &session.line));
        }
        table.sessions.retain(|_, sessions| !sessions.is_empty());
        table.starting.retain(|_, attempts| !attempts.is_empty());
        self.count(&table);
    }

    /// Under the lock, so that the last count that is recorded is the right one.
    fn count(&self, table: &Table) {
        let open: usize = table.sessions.values().map(Vec::len).sum();
        self.environment
            .record(Figure::Sessions, f64::from(u32::try_from(open).unwrap_or(u32::MAX)));
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one that lives, until it is dropped.
struct Alive(watch::Sender<usize>);

impl Alive {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|alive| *alive += 1);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}

/// A session is worth finishing for the next client even if this one has no time left.
const LEAST_TIME: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::far::{Clock, driven};

    #[tokio::test(start_paused = true)]
    async fn a_session_that_ended_as_soon_as_it_was_open_is_not_kept() {
        let (line, _ended, _far) = driven(&Clock::new()).await;
        let session = Session { line, id: "s-1".into(), started_at: Instant::now() };
        let mut table = Table::default();
        assert!(table.admit(&session).is_ok());
        table.sessions.clear();
        session.line.end(refusal::gone());
        let error = table.admit(&session).unwrap_err();
        assert!(error.message().contains("the session is over"), "{error}");
        assert!(table.sessions.is_empty());
    }
}
