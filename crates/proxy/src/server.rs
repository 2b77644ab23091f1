//! The running proxy: listeners, relay threads, drain.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pgferry_config::Listen;
use tokio::runtime::{Builder, Handle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::listener::Listener;
use crate::listening::{Listening, Sink, matching};
use crate::relay::Drain;
use crate::target::Target;

/// Serves its targets until it is told to stop.
pub struct Server {
    relays: Vec<Relay>,
    listening: Vec<Listening>,
    sessions: TaskTracker,
    drain: Drain,
}

/// An address that is being listened on.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The target behind it.
    pub target: String,
    /// The address, with the port the system chose.
    pub address: String,
}

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken. The user's to solve.
    #[error(
        "target \"{target}\": {listen} is already in use, perhaps by a local PostgreSQL or another \
         pgferry; choose another port in listen"
    )]
    InUse {
        /// The target.
        target: String,
        /// Its address.
        listen: Listen,
    },
    /// An address cannot be bound.
    #[error("target \"{target}\": cannot listen on {listen}: {source}")]
    Bind {
        /// The target.
        target: String,
        /// Its address.
        listen: Listen,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no more threads.
    #[error("cannot start a relay thread: {0}")]
    Thread(io::Error),
}

/// A thread that relays sessions: a runtime of its own, so that a session never changes cores.
struct Relay {
    handle: Handle,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Binds every address of every target, or none, and starts to accept.
    ///
    /// Cancel safety: dropping the future unbinds what was bound.
    pub async fn start(
        targets: Vec<(Arc<Target>, Vec<Listen>)>,
        relay_threads: usize,
    ) -> Result<Self, StartError> {
        let relays: Result<Vec<_>, _> = (0..relay_threads).map(Relay::start).collect();
        let mut server = Self {
            relays: relays.map_err(StartError::Thread)?,
            listening: Vec::new(),
            sessions: TaskTracker::new(),
            drain: Drain::default(),
        };
        server.reload(targets).await?;
        Ok(server)
    }

    /// Serves these targets instead, from the next connection on. An address that is bound already
    /// keeps its socket and whoever waits there, others are bound, and those that are not named any
    /// more are closed. Sessions go on as they are. Gives the addresses that are new.
    ///
    /// **Errors**: an address that cannot be bound. Nothing has changed then.
    ///
    /// Cancel safety: dropping the future changes nothing, or everything.
    pub async fn reload(
        &mut self,
        targets: Vec<(Arc<Target>, Vec<Listen>)>,
    ) -> Result<Vec<Bound>, StartError> {
        let wanted: Vec<(Arc<Target>, Listen)> = targets
            .into_iter()
            .flat_map(|(target, listens)| {
                listens.into_iter().map(move |l| (Arc::clone(&target), l))
            })
            .collect();
        let mut sockets = Vec::with_capacity(wanted.len());
        for (index, (target, listen)) in self.matching(&wanted).into_iter().zip(&wanted) {
            sockets.push(match index {
                Some(index) => Socket::Kept(index),
                None => Socket::New(bind(target, listen).await?),
            });
        }
        let mut before: Vec<_> =
            std::mem::take(&mut self.listening).into_iter().map(Some).collect();
        let mut new = Vec::new();
        for ((target, listen), socket) in wanted.into_iter().zip(sockets) {
            match socket {
                Socket::Kept(index) => {
                    let Some(kept) = before.get_mut(index).and_then(Option::take) else { continue };
                    kept.switch(target);
                    self.listening.push(kept);
                }
                Socket::New(listener) => {
                    let listening = Listening::start(listen, listener, target, self.sink());
                    new.push(bound(&listening));
                    self.listening.push(listening);
                }
            }
        }
        for gone in before.into_iter().flatten() {
            gone.stop().await;
        }
        Ok(new)
    }

    /// What is being listened on, in the order of the configuration.
    pub fn bound(&self) -> Vec<Bound> {
        self.listening.iter().map(bound).collect()
    }

    /// Ends: new connections are told so, idle sessions end at once, busy ones at the end of their
    /// transaction, and all after `limit` or as soon as `now` is cancelled.
    ///
    /// Cancel safety: dropping it ends every session at once.
    pub async fn drain(mut self, limit: Duration, now: CancellationToken) {
        self.drain.soft.cancel();
        self.sessions.close();
        let hurried = tokio::select! {
            () = self.sessions.wait() => false,
            () = tokio::time::sleep(limit) => true,
            () = now.cancelled() => true,
        };
        for listening in self.listening.drain(..) {
            listening.stop().await;
        }
        if hurried {
            self.drain.hard.cancel();
            // Longer than any farewell takes.
            if timeout(Duration::from_secs(5), self.sessions.wait()).await.is_err() {
                tracing::error!("sessions are left that do not end; leaving without them");
            }
        }
        for relay in &mut self.relays {
            relay.join();
        }
    }

    fn matching(&self, wanted: &[(Arc<Target>, Listen)]) -> Vec<Option<usize>> {
        let serving: Vec<_> = self.listening.iter().map(|l| (l.target(), &l.listen)).collect();
        let bound: Vec<_> = serving.iter().map(|(t, listen)| (t.name(), *listen)).collect();
        let wanted: Vec<_> = wanted.iter().map(|(t, listen)| (t.name(), listen)).collect();
        matching(&bound, &wanted)
    }

    fn sink(&self) -> Sink {
        Sink {
            relays: self.relays.iter().map(|relay| relay.handle.clone()).collect(),
            sessions: self.sessions.clone(),
            drain: self.drain.clone(),
        }
    }
}

/// Where the socket of an address comes from.
enum Socket {
    /// It is bound already: its place in the list.
    Kept(usize),
    New(Listener),
}

fn bound(listening: &Listening) -> Bound {
    Bound { target: listening.target().name.clone(), address: listening.address.clone() }
}

async fn bind(target: &Target, listen: &Listen) -> Result<Listener, StartError> {
    Listener::bind(listen).await.map_err(|source| {
        let (target, listen) = (target.name.clone(), listen.clone());
        if source.kind() == io::ErrorKind::AddrInUse {
            StartError::InUse { target, listen }
        } else {
            StartError::Bind { target, listen, source }
        }
    })
}

impl Relay {
    fn start(index: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name(format!("relay-{index}"))
            .spawn(move || runtime.block_on(stopped.cancelled()))?;
        Ok(Self { handle, stop, thread: Some(thread) })
    }

    fn join(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a relay thread has panicked");
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.join();
    }
}
