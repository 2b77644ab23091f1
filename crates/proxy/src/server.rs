//! The running proxy: listeners, relay threads, drain.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pgferry_config::Listen;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, serve};
use crate::listener::{Accepted, Listener};
use crate::relay::Drain;
use crate::socket::{Socket, UnixSocket};
use crate::target::Target;

/// Serves its targets until it is told to stop.
pub struct Server {
    relays: Vec<Relay>,
    acceptors: JoinSet<()>,
    sessions: TaskTracker,
    drain: Drain,
    bound: Vec<Bound>,
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
        let mut listeners = Vec::new();
        for (target, listens) in targets {
            for listen in listens {
                let listener = bind(&target, listen).await?;
                listeners.push((Arc::clone(&target), listener));
            }
        }
        let relays: Result<Vec<_>, _> = (0..relay_threads).map(Relay::start).collect();
        let mut server = Self {
            relays: relays.map_err(StartError::Thread)?,
            acceptors: JoinSet::new(),
            sessions: TaskTracker::new(),
            drain: Drain::default(),
            bound: Vec::new(),
        };
        for (target, listener) in listeners {
            server.listen(target, listener);
        }
        Ok(server)
    }

    /// What is being listened on, in the order of the configuration.
    pub fn bound(&self) -> &[Bound] {
        &self.bound
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
        self.acceptors.shutdown().await;
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

    fn listen(&mut self, target: Arc<Target>, listener: Listener) {
        let address = listener.address();
        target.metrics.listener(&address);
        target.health.listener_bound(true);
        self.bound.push(Bound { target: target.name.clone(), address: address.clone() });
        let relays: Vec<Handle> = self.relays.iter().map(|relay| relay.handle.clone()).collect();
        let sessions = self.sessions.clone();
        let drain = self.drain.clone();
        self.acceptors.spawn(async move {
            for thread in (0..relays.len()).cycle() {
                let accepted = listener.accept().await;
                let Some(relay) = relays.get(thread) else { continue };
                let target = Arc::clone(&target);
                let guard = target.metrics.connection_opened(&address);
                let (label, drain) = (label(&accepted, &address), drain.clone());
                let connection = async move {
                    // Tied to the relay's own runtime only here, where it runs.
                    match into_socket(accepted) {
                        Ok(socket) => {
                            serve(Connection { target, socket, label, guard, thread, drain }).await;
                        }
                        Err(error) => tracing::error!(%error, "an accepted socket is unusable"),
                    }
                };
                relay.spawn(sessions.track_future(connection));
            }
        });
    }
}

async fn bind(target: &Target, listen: Listen) -> Result<Listener, StartError> {
    Listener::bind(&listen).await.map_err(|source| {
        let target = target.name.clone();
        if source.kind() == io::ErrorKind::AddrInUse {
            StartError::InUse { target, listen }
        } else {
            StartError::Bind { target, listen, source }
        }
    })
}

fn label(accepted: &Accepted, listener: &str) -> String {
    match accepted {
        Accepted::Tcp(_, peer) => peer.to_string(),
        Accepted::Unix(_) => listener.to_owned(),
    }
}

fn into_socket(accepted: Accepted) -> io::Result<Socket> {
    match accepted {
        Accepted::Tcp(stream, _) => tokio::net::TcpStream::from_std(stream).map(Socket::Tcp),
        Accepted::Unix(stream) => UnixSocket::new(stream).map(Socket::Unix),
    }
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
