//! A live connection to the bastion, and the task that keeps its books.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use pgferry_transport_sdk::Error;
use russh::client::{Handle, Msg};
use russh::{ChannelWriteHalf, Disconnect};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::backlog::Pressure;
use crate::bastion::Destination;
use crate::channel::{Channel, Line};
use crate::events::{Events, EventsSeen, Fate, seal};
use crate::refusal;
use crate::socket::Lifeline;

/// An authenticated connection that many channels share.
#[derive(Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    handle: Handle<Events>,
    line: Line,
    set_fate: watch::Sender<Fate>,
    /// Whether it takes no new channels.
    retired: AtomicBool,
    /// How many channels there are, open or opening.
    places: Arc<AtomicUsize>,
    _lifeline: Lifeline,
}

/// What the keeper is asked to do.
pub(crate) enum Order {
    /// Open a channel.
    Open { to: Destination, place: Place, reply: Reply },
    /// A channel is no longer used: close it.
    Release(ChannelWriteHalf<Msg>),
    /// The connection has been retired, or a place on it is free again.
    LookAgain,
}

/// The right to one channel on a connection, free again when dropped.
pub(crate) struct Place {
    taken: Arc<AtomicUsize>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
        // Nobody listens only when the connection has ended.
        drop(self.orders.send(Order::LookAgain));
    }
}

type Reply = oneshot::Sender<Result<Channel, Error>>;

/// Why a connection gave no channel.
pub(crate) enum OpenError {
    /// The bastion said no, or the database did not answer it: another connection would not help.
    Refused(Error),
    /// The connection is lost or silent: another one may help.
    Dead(Error),
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused(error) | OpenError::Dead(error) => error,
        }
    }
}

impl Connection {
    pub(crate) fn new(
        handle: Handle<Events>,
        events: EventsSeen,
        lifeline: Lifeline,
        bastion: &str,
        idle_limit: Duration,
    ) -> (Self, Keeper) {
        let (orders, taken) = mpsc::unbounded_channel();
        let line = Line {
            bastion: bastion.into(),
            orders,
            fate: events.fate,
            pressure: Pressure::default(),
        };
        let shared = Shared {
            handle,
            line,
            set_fate: events.set_fate,
            retired: AtomicBool::new(false),
            places: Arc::default(),
            _lifeline: lifeline,
        };
        let connection = Self { shared: Arc::new(shared) };
        let keeper = Keeper {
            connection: connection.clone(),
            orders: taken,
            refusals: events.refusals,
            opening: FuturesUnordered::new(),
            closing: FuturesUnordered::new(),
            live: 0,
            idle_limit,
            idle_since: Instant::now(),
        };
        (connection, keeper)
    }

    /// A place for one more channel, if there are fewer than `limit` and it takes new ones.
    pub(crate) fn place(&self, limit: usize) -> Option<Place> {
        if !self.is_usable() {
            return None;
        }
        let one_more = |taken| (taken < limit).then_some(taken + 1);
        let places = &self.shared.places;
        places.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Place { taken: Arc::clone(places), orders: self.shared.line.orders.clone() })
    }

    /// Opens a channel to the database before the destination's deadline.
    ///
    /// A bastion that has not answered after a while is asked for a sign of life: a database behind
    /// a closed door looks the same as a dead connection, and only the latter is to be replaced.
    ///
    /// Cancel safety: a channel that is opened for nobody is closed again.
    pub(crate) async fn open(&self, to: &Destination, place: Place) -> Result<Channel, OpenError> {
        let (reply, mut answer) = oneshot::channel();
        let order = Order::Open { to: to.clone(), place, reply };
        if self.shared.line.orders.send(order).is_err() {
            return Err(OpenError::Dead(self.shared.line.lost().await));
        }
        let third = to.deadline.saturating_duration_since(Instant::now()) / 3;
        if let Ok(answer) = timeout(third.min(PATIENCE), &mut answer).await {
            return self.opened(answer).await;
        }
        tokio::select! {
            biased;
            answer = &mut answer => return self.opened(answer).await,
            alive = self.is_alive(third.min(PING_LIMIT)) => if !alive {
                return Err(OpenError::Dead(refusal::silent(&self.shared.line.bastion)));
            },
        }
        match timeout_at(to.deadline, answer).await {
            Ok(answer) => self.opened(answer).await,
            Err(_) => Err(OpenError::Refused(refusal::no_answer(to, &self.shared.line.bastion))),
        }
    }

    /// Whether new channels may be opened on it. Not beside a session that leaves its data waiting:
    /// should it go on doing so, the new one would come to wait for it.
    fn is_usable(&self) -> bool {
        !self.shared.retired.load(Ordering::Acquire)
            && !self.shared.line.pressure.is_high()
            && self.shared.line.fate.borrow().is_none()
            && !self.shared.handle.is_closed()
    }

    /// Takes no new channels from now on, and closes once the last one ends.
    pub(crate) fn retire(&self) {
        self.shared.retired.store(true, Ordering::Release);
        // Nobody takes it only when the keeper has ended, and the connection with it.
        drop(self.shared.line.orders.send(Order::LookAgain));
    }

    /// Ends the connection and all its channels, which are told `reason`.
    pub(crate) fn close(&self, reason: &str) {
        seal(&self.shared.set_fate, reason);
    }

    /// The error for whoever needs it after it was lost.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn lost(&self) -> Error {
        self.shared.line.lost().await
    }

    /// Waits until it has ended.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn ended(&self) {
        // Its keeper holds the receiving end.
        self.shared.line.orders.closed().await;
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    async fn opened(
        &self,
        answer: Result<Result<Channel, Error>, oneshot::error::RecvError>,
    ) -> Result<Channel, OpenError> {
        match answer {
            Ok(answer) => answer.map_err(OpenError::Refused),
            // The keeper answers unless the connection has ended.
            Err(_) => Err(OpenError::Dead(self.shared.line.lost().await)),
        }
    }

    async fn is_alive(&self, limit: Duration) -> bool {
        let pong = timeout(limit, self.shared.handle.send_ping()).await;
        // russh calls a ping answered too when the connection ends before the answer.
        matches!(pong, Ok(Ok(()))) && self.is_usable()
    }
}

/// Opens and closes the channels of one connection, and ends it when it is no longer used.
///
/// All channels are opened from this one task. The bastion's words for a refusal reach it on
/// another way than the refusal itself, and match it only by their order; `FuturesUnordered` gives
/// the refusals in the order in which russh has signalled them.
pub(crate) struct Keeper {
    connection: Connection,
    orders: mpsc::UnboundedReceiver<Order>,
    refusals: mpsc::UnboundedReceiver<String>,
    opening: FuturesUnordered<BoxFuture<'static, Opened>>,
    closing: FuturesUnordered<BoxFuture<'static, ()>>,
    live: usize,
    idle_limit: Duration,
    idle_since: Instant,
}

struct Opened {
    to: Destination,
    place: Place,
    reply: Reply,
    result: Result<russh::Channel<Msg>, russh::Error>,
}

impl Keeper {
    /// Runs until the connection has ended, and says why it did.
    pub(crate) async fn run(mut self) -> Arc<str> {
        let reason = loop {
            let shared = Arc::clone(&self.connection.shared);
            let (is_idle, idle_until) = (self.is_idle(), self.idle_until());
            tokio::select! {
                reason = ended(shared.line.fate.clone()) => break reason,
                Some(order) = self.orders.recv() => self.obey(order),
                Some(opened) = self.opening.next() => self.answer(opened).await,
                Some(()) = self.closing.next() => {}
                () = sleep_until(idle_until), if is_idle => {
                    seal(&shared.set_fate, "closed, since no session used it");
                }
            }
        };
        // A bastion that does not take this in time is cut off with the lifeline.
        let _ = timeout(GOODBYE_LIMIT, self.say_goodbye()).await;
        reason
    }

    async fn say_goodbye(&mut self) {
        let handle = &self.connection.shared.handle;
        if handle.disconnect(Disconnect::ByApplication, "", "").await.is_ok() {
            // russh has let go of its end once all is sent.
            while self.refusals.recv().await.is_some() {}
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Open { to, place, reply } => {
                self.idle_limit = to.idle_limit;
                let shared = Arc::clone(&self.connection.shared);
                self.opening.push(Box::pin(async move {
                    // The bastion resolves the name. Where the connection comes from is for its
                    // log alone.
                    let (host, port) = (to.host.clone(), u32::from(to.port));
                    let opening =
                        shared.handle.channel_open_direct_tcpip(host, port, "127.0.0.1", 0);
                    let result = opening.await;
                    Opened { to, place, reply, result }
                }));
            }
            Order::Release(write) => {
                self.live = self.live.saturating_sub(1);
                self.idle_since = Instant::now();
                self.closing.push(Box::pin(async move {
                    // A connection that is lost has closed it already.
                    drop(write.close().await);
                }));
            }
            Order::LookAgain => {}
        }
    }

    async fn answer(&mut self, opened: Opened) {
        let Opened { to, place, reply, result } = opened;
        self.idle_since = Instant::now();
        let line = &self.connection.shared.line;
        let answer = match result {
            Ok(channel) => {
                self.live += 1;
                tracing::debug!(host = to.host, port = to.port, id = %channel.id(), "channel open");
                Ok(Channel::new(channel, place, line.clone()))
            }
            Err(russh::Error::ChannelOpenFailure(code)) => {
                let said = self.refusals.recv().await.unwrap_or_default();
                Err(refusal::channel(&code, &said, &to, &line.bastion))
            }
            // Whoever waits learns from the missing answer that the connection has ended.
            Err(_) => return,
        };
        // Nobody waits any more: a channel is dropped here, which closes it.
        drop(reply.send(answer));
    }

    fn is_idle(&self) -> bool {
        // A place is taken before the channel is ordered.
        let taken = self.connection.shared.places.load(Ordering::Acquire);
        taken == 0 && self.live == 0 && self.opening.is_empty()
    }

    fn idle_until(&self) -> Instant {
        let retired = self.connection.shared.retired.load(Ordering::Acquire);
        let limit = if retired { Duration::ZERO } else { self.idle_limit };
        self.idle_since.checked_add(limit.min(LONGEST_IDLE)).unwrap_or(self.idle_since)
    }
}

/// Waits until a connection has ended.
///
/// Cancel safety: safe.
async fn ended(mut fate: watch::Receiver<Fate>) -> Arc<str> {
    let told = fate.wait_for(Option::is_some).await;
    told.ok().and_then(|fate| fate.clone()).unwrap_or_else(|| "it ended without a reason".into())
}

/// A channel usually opens within two round trips. A bastion that takes longer is asked for a sign
/// of life.
const PATIENCE: Duration = Duration::from_secs(1);
const PING_LIMIT: Duration = Duration::from_secs(2);
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);
/// Far beyond any limit a user means, and within what a timer can hold.
const LONGEST_IDLE: Duration = Duration::from_hours(8760);
