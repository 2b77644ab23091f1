//! One configured transport.

use std::fmt;
use std::sync::{Arc, LazyLock};

use socket2::SockRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::connection::{CloseReason, Detail};
use crate::error::Failure;
use crate::exec::{self, Exec};
use crate::guest::Guest;
use crate::plugin::PluginSource;
use crate::standing::Phase;
use crate::tcp::{self, Limits};
use crate::transports::DESTROY_LIMIT;
use crate::{Connection, InstanceSpec, Observer, OpenError, OpenRequest, PluginInfo, Status};

/// A transport instance: one entry of the configuration, ready to open. The plugin's side of it is
/// destroyed in the background once nobody holds it any more.
pub struct Instance {
    name: String,
    way: Way,
    opens: Arc<Semaphore>,
    cap: usize,
    observer: Arc<dyn Observer>,
    /// Where its end is counted, should it end by being dropped.
    endings: TaskTracker,
}

/// How an instance opens.
pub(crate) enum Way {
    /// By the host's own TCP dialler.
    Direct,
    /// By running a command.
    Exec(Arc<Exec>),
    /// Through a plugin.
    Guest(Arc<Guest>),
}

impl Instance {
    pub(crate) fn new(
        spec: &InstanceSpec,
        way: Way,
        observer: Arc<dyn Observer>,
        endings: TaskTracker,
    ) -> Self {
        let cap = spec.max_concurrent_opens.clamp(1, Semaphore::MAX_PERMITS);
        let opens = Arc::new(Semaphore::new(cap));
        Self { name: spec.name.clone(), way, opens, cap, observer, endings }
    }

    /// Its configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plugin behind it.
    pub fn plugin(&self) -> &PluginInfo {
        match &self.way {
            Way::Direct => &DIRECT,
            Way::Exec(_) => &EXEC,
            Way::Guest(guest) => &guest.plugin.info,
        }
    }

    /// Whether its sockets speak PostgreSQL themselves: no TLS and no login is due on them.
    pub fn speaks_postgres(&self) -> bool {
        match &self.way {
            Way::Direct | Way::Exec(_) => false,
            Way::Guest(guest) => guest.plugin.speaks_postgres(),
        }
    }

    /// Opens a way to the target.
    ///
    /// **Errors**: always with the instance's name in front. [`Status::Timeout`] after the request's
    /// limit, which counts from this call, waiting for other opens included. Nothing is retried.
    ///
    /// Cancel safety: dropping the future cancels the open; a socket that comes late is closed.
    pub async fn open(&self, request: OpenRequest) -> Result<Connection, OpenError> {
        let started = Instant::now();
        let opening = self.observer.opening(&self.name);
        let outcome = self.open_by(&request, started + request.limit).await;
        drop(opening);
        match &outcome {
            Ok(_) => self.observer.opened(&self.name, started.elapsed()),
            Err(error) => self.observer.failed(&self.name, error.status, started.elapsed()),
        }
        outcome
    }

    async fn open_by(
        &self,
        request: &OpenRequest,
        deadline: Instant,
    ) -> Result<Connection, OpenError> {
        let permit = self.turn(deadline).await?;
        match &self.way {
            Way::Guest(guest) => guest.open(request, deadline, permit).await,
            Way::Exec(exec) => {
                let opened = exec.open(request, deadline, permit).await;
                opened.map_err(|failure| self.error(failure))
            }
            Way::Direct => {
                let limits = Limits { deadline, tcp: request.tcp_limit };
                let socket = tcp::connect(&request.host, request.port, limits)
                    .await
                    .map_err(|failure| self.error(failure))?;
                let peer =
                    SockRef::from(&socket).peer_addr().ok().and_then(|peer| peer.as_socket());
                let peer = peer.map(|peer| peer.to_string());
                let detail = Detail { peer, ..Detail::default() };
                Ok(Connection { socket, closed: CloseReason::silent(), detail })
            }
        }
    }

    /// Waits for one of the opens under way to end, if there are as many as there may be.
    async fn turn(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, OpenError> {
        let waited = timeout_at(deadline, Arc::clone(&self.opens).acquire_owned()).await;
        let Ok(Ok(permit)) = waited else {
            let full = format!(
                "{} opens are under way, as many as max_opens allows, and none ended in time",
                self.cap
            );
            return Err(self.error(Failure::new(Status::Timeout, full)));
        };
        Ok(permit)
    }

    pub(crate) fn error(&self, failure: Failure) -> OpenError {
        let plugin = self.plugin();
        let (name, version) = (&plugin.name, &plugin.version);
        failure.prefixed(&format_args!("transport {} ({name} {version}): ", self.name))
    }

    /// Whether it refuses every open until it is made anew.
    pub(crate) fn is_disabled(&self) -> bool {
        self.guest().is_some_and(|guest| guest.is_disabled())
    }

    pub(crate) fn guest(&self) -> Option<&Arc<Guest>> {
        match &self.way {
            Way::Direct | Way::Exec(_) => None,
            Way::Guest(guest) => Some(guest),
        }
    }

    /// Ends what is the instance's own: its plugin's instance, or its commands. One that does not
    /// end by the deadline is given up.
    pub(crate) async fn shutdown(&self, deadline: Instant) {
        self.way.shutdown(&self.name, deadline).await;
    }
}

impl Way {
    async fn shutdown(&self, instance: &str, deadline: Instant) {
        match self {
            Self::Direct => {}
            Self::Exec(exec) => {
                if timeout_at(deadline, exec.shutdown()).await.is_err() {
                    tracing::error!(instance, "a command did not end and was given up");
                }
            }
            Self::Guest(guest) => {
                guest.shutdown(deadline).await;
            }
        }
    }
}

impl Drop for Instance {
    /// Whatever needed it is over, so its streams are closed: the contract lets it be destroyed now.
    fn drop(&mut self) {
        let (way, runtime) = match &self.way {
            Way::Guest(guest) if guest.phase() == Phase::Serving => {
                (Way::Guest(Arc::clone(guest)), guest.runtime.clone())
            }
            Way::Exec(exec) => (Way::Exec(Arc::clone(exec)), exec.runtime.clone()),
            Way::Direct | Way::Guest(_) => return,
        };
        let name = self.name.clone();
        drop(runtime.spawn(self.endings.track_future(async move {
            way.shutdown(&name, Instant::now() + DESTROY_LIMIT).await;
        })));
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.name)
            .field("plugin", &self.plugin().name)
            .finish_non_exhaustive()
    }
}

/// The kind that is no plugin and dials by itself.
pub(crate) const DIRECT_KIND: &str = "direct";

static DIRECT: LazyLock<PluginInfo> = LazyLock::new(|| PluginInfo {
    name: DIRECT_KIND.to_owned(),
    version: env!("CARGO_PKG_VERSION").to_owned(),
    about: "connects straight to the database".to_owned(),
    source: PluginSource::BuiltIn,
});

static EXEC: LazyLock<PluginInfo> = LazyLock::new(|| PluginInfo {
    name: exec::KIND.to_owned(),
    version: env!("CARGO_PKG_VERSION").to_owned(),
    about: "lets a command carry the bytes".to_owned(),
    source: PluginSource::BuiltIn,
});
