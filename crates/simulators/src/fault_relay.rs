//! A TCP relay that misbehaves on request.
//!
//! The kernels tests run on often lack netem, so delay, loss of a path and resets are made here,
//! in user space, on connections between the code under test and anything it dials.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    num::NonZeroU64,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{oneshot, watch};

pub use counters::Counters;
pub use settings::{Direction, NewConnections};
use settings::{Lane, Settings};

use crate::error::{Context, Error};

mod connection;
mod counters;
mod listener;
mod pump;
mod settings;

/// A relay on 127.0.0.1 in front of one address.
///
/// It runs on a thread of its own, so tests with and without an async runtime can use it. Faults
/// apply at once to connections that are open and, where that makes sense, to later ones. Dropping
/// it closes its port and its connections.
pub struct FaultRelay {
    address: SocketAddr,
    settings: watch::Sender<Settings>,
    counters: watch::Receiver<Counters>,
    doors: tokio::sync::mpsc::UnboundedSender<listener::Order>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FaultRelay {
    /// Starts a relay in front of `upstream`, with no fault.
    ///
    /// # Panics
    ///
    /// When no port or thread is left.
    #[expect(clippy::panic, reason = "a test without its relay cannot go on")]
    pub fn start(upstream: SocketAddr) -> Self {
        Self::try_start(upstream).unwrap_or_else(|error| panic!("no fault relay: {error}"))
    }

    /// As [`Self::start`], for callers that want to handle the failure.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when no port or thread is left.
    pub fn try_start(upstream: SocketAddr) -> Result<Self, Error> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .doing(|| "listening for the fault relay".to_owned())?;
        let address = socket.local_addr().doing(|| "asking for the relay's port".to_owned())?;
        let (settings, settings_seen) = watch::channel(Settings::default());
        let (count, counters) = watch::channel(Counters::default());
        let (doors, orders) = tokio::sync::mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let listener = listener::Listener { upstream, address, settings: settings_seen, count };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing(|| "starting the relay's runtime".to_owned())?;
        let thread = thread::Builder::new()
            .name("fault relay".to_owned())
            .spawn(move || runtime.block_on(listener.run(socket, orders, stopped)))
            .doing(|| "starting the relay's thread".to_owned())?;
        let (stop, thread) = (Some(stop), Some(thread));
        Ok(Self { address, settings, counters, doors, stop, thread })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds latency, each way. What is already under way keeps its old latency.
    pub fn delay(&self, latency: Duration) {
        self.both_lanes(|lane| lane.delay = latency);
    }

    /// Limits each connection to this many bytes a second, each way; 0 lifts the limit.
    pub fn rate(&self, bytes_per_second: u64) {
        self.both_lanes(|lane| lane.rate = NonZeroU64::new(bytes_per_second));
    }

    /// Lets this many more bytes pass in `direction`, counted over all connections, then closes the
    /// connection that carried the last of them. Later connections are whole again.
    pub fn cut_after(&self, bytes: u64, direction: Direction) {
        self.lane(direction, |lane| lane.allow(bytes));
    }

    /// Ends one direction of the open connections: the receiver sees an orderly end, the other
    /// direction goes on.
    pub fn half_close(&self, direction: Direction) {
        self.lane(direction, |lane| lane.half_closes += 1);
    }

    /// Resets the open connections on both sides (RST).
    pub fn reset(&self) {
        self.settings.send_modify(|settings| settings.resets += 1);
    }

    /// Stops delivering in `direction`, without closing anything. Bytes pile up as they would in a
    /// path that went silent; none is lost.
    pub fn stall(&self, direction: Direction) {
        self.lane(direction, |lane| lane.stalled = true);
    }

    /// Undoes [`Self::stall`].
    pub fn resume(&self, direction: Direction) {
        self.lane(direction, |lane| lane.stalled = false);
    }

    /// Decides about connections made from now on, and returns once that holds. Open ones go on.
    pub fn new_connections(&self, policy: NewConnections) {
        let (done, confirmed) = mpsc::sync_channel(1);
        // A relay whose thread is gone refuses everything: nothing is left to confirm.
        if self.doors.send(listener::Order { policy, done }).is_ok() {
            confirmed.recv_timeout(ORDER_LIMIT).ok();
        }
    }

    /// Closes the port: connecting is refused until [`Self::accept_new`].
    pub fn refuse_new(&self) {
        self.new_connections(NewConnections::Refuse);
    }

    /// Relays new connections again.
    pub fn accept_new(&self) {
        self.new_connections(NewConnections::Relay);
    }

    /// What has passed so far.
    pub fn counters(&self) -> Counters {
        *self.counters.borrow()
    }

    /// Blocks until `total` bytes, counted since the start, were delivered in `direction`.
    ///
    /// May be called within an async runtime too, but blocks its thread: there, prefer
    /// [`Self::passed`].
    ///
    /// # Errors
    ///
    /// [`Error::TooFewBytes`] after `limit`.
    pub fn wait_for_bytes(
        &self,
        direction: Direction,
        total: u64,
        limit: Duration,
    ) -> Result<(), Error> {
        if self.wait_until(limit, |counters| counters.delivered(direction) >= total) {
            return Ok(());
        }
        let passed = self.counters().delivered(direction);
        Err(Error::TooFewBytes { passed, awaited: total, limit })
    }

    /// Waits until `total` bytes, counted since the start, were delivered in `direction`. It has no
    /// limit of its own: wrap it in `tokio::time::timeout`.
    ///
    /// Cancel safety: safe, it only looks.
    pub async fn passed(&self, direction: Direction, total: u64) {
        let mut counters = self.counters.clone();
        // An error means that the relay is gone, which its owner cannot see while borrowing it.
        counters.wait_for(|counters| counters.delivered(direction) >= total).await.ok();
    }

    /// Blocks until the counters satisfy `condition`; false after `limit`.
    pub fn wait_until(
        &self,
        limit: Duration,
        condition: impl Fn(&Counters) -> bool + Send,
    ) -> bool {
        let mut counters = self.counters.clone();
        let wait = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.is_ok_and(|runtime| {
                let met = async { tokio::time::timeout(limit, counters.wait_for(condition)).await };
                runtime.block_on(met).is_ok_and(|met| met.is_ok())
            })
        };
        // A thread of its own: a runtime cannot be entered from within another one.
        thread::scope(|scope| scope.spawn(wait).join().unwrap_or(false))
    }

    fn lane(&self, direction: Direction, change: impl FnOnce(&mut Lane)) {
        self.settings.send_modify(|settings| change(settings.lane_mut(direction)));
    }

    fn both_lanes(&self, change: impl Fn(&mut Lane)) {
        self.lane(Direction::TowardsBackend, &change);
        self.lane(Direction::TowardsFrontend, &change);
    }
}

impl Drop for FaultRelay {
    fn drop(&mut self) {
        // Either may have happened already if the relay's thread panicked.
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

const ORDER_LIMIT: Duration = Duration::from_secs(5);
