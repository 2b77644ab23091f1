//! The way to the bastion through other SSH servers: each connection travels in a channel of the one
//! before.

use std::sync::Arc;
use std::time::Duration;

use pgferry_transport_sdk::{Error, Status};
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::bastion::Destination;
use crate::channel::Channel;
use crate::connection::{Connection, Keeper};
use crate::environment::Environment;
use crate::events::{Fate, seal};
use crate::hop::Hop;

/// The connections to the servers before the bastion. Dropping it ends them.
#[derive(Default)]
pub(crate) struct Chain {
    connections: Vec<Connection>,
    /// Why the way was lost: the first link that broke, for all that hang on it.
    cause: Arc<watch::Sender<Fate>>,
}

impl Chain {
    pub(crate) const fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Why the way is lost, if a channel between two servers has broken.
    pub(crate) fn broken(&self) -> Option<Error> {
        self.cause.borrow().as_deref().map(Error::unreachable)
    }

    /// Adds the connection to one more jump, and keeps it until the chain ends.
    pub(crate) fn add<E: Environment>(
        &mut self,
        hop: &Hop,
        (connection, keeper): (Connection, Keeper),
        environment: &E,
    ) {
        let name = hop.to_string();
        environment.spawn(async move {
            let reason = keeper.run().await;
            tracing::info!(hop = name, %reason, "connection to a jump ended");
        });
        self.connections.push(connection);
    }

    /// Opens the way from the last jump to the server `next`, before the destination's deadline.
    ///
    /// Errors: what the jump says about that server, with what to do about it.
    ///
    /// Cancel safety: a channel that comes too late is closed.
    pub(crate) async fn open(&self, next: &Hop, to: &Destination) -> Result<Channel, Error> {
        let Some(last) = self.connections.last() else {
            return Err(Error::internal("there is no jump to go on from"));
        };
        let Some(place) = last.place(usize::MAX) else { return Err(last.lost().await) };
        let (host, port) = (next.host.clone(), next.port);
        let idle_limit = Duration::MAX;
        let to = Destination { host, port, idle_limit, ..to.clone() };
        let opened = last.open(&to, place).await.map_err(Error::from);
        opened.map_err(|error| match error.status() {
            Status::DENIED => error,
            _ => error.with_hint(format!(
                "check that {next} runs, and that the jump before it may connect to it"
            )),
        })
    }

    /// Carries a server's connection through a `channel`. If that is lost, the server's `fate` says
    /// why before its socket ends.
    pub(crate) fn carry<E: Environment>(
        &self,
        channel: Channel,
        fate: watch::Sender<Fate>,
        environment: &E,
    ) -> Result<UnixStream, Error> {
        let broken = |error| Error::internal(format!("a jump's socket: {error}"));
        let (near, far) = std::os::unix::net::UnixStream::pair().map_err(broken)?;
        let kept = near.try_clone().map_err(broken)?;
        for end in [&near, &far] {
            end.set_nonblocking(true).map_err(broken)?;
        }
        let near = UnixStream::from_std(near).map_err(broken)?;
        let cause = Arc::clone(&self.cause);
        environment.spawn(async move {
            if let Err(error) = channel.carry(near).await {
                seal(&cause, error.message());
                let cause = cause.borrow().clone();
                seal(&fate, cause.as_deref().unwrap_or_default());
            }
            drop(kept);
        });
        UnixStream::from_std(far).map_err(broken)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        for connection in self.connections.iter().rev() {
            connection.close("nothing needs it any more");
        }
    }
}
