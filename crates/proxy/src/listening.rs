//! The addresses that are being listened on: each with its socket, and the target behind it.

use std::io;
use std::sync::Arc;

use pgferry_config::Listen;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, serve};
use crate::listener::{Accepted, Listener};
use crate::relay::Drain;
use crate::socket::{Socket, UnixSocket};
use crate::target::Target;

/// An address that is being listened on. Its target may change, the socket stays. Dropping it closes
/// the socket, sooner or later.
pub(crate) struct Listening {
    pub(crate) listen: Listen,
    /// With the port the system chose.
    pub(crate) address: String,
    target: watch::Sender<Arc<Target>>,
    acceptor: JoinHandle<()>,
}

/// Where accepted connections go.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) relays: Vec<Handle>,
    pub(crate) sessions: TaskTracker,
    pub(crate) drain: Drain,
}

impl Listening {
    /// Starts to accept.
    pub(crate) fn start(
        listen: Listen,
        listener: Listener,
        target: Arc<Target>,
        sink: Sink,
    ) -> Self {
        let address = listener.address();
        declare(&target, &address);
        let (sender, receiver) = watch::channel(target);
        let acceptor = tokio::spawn(accept(listener, address.clone(), receiver, sink));
        Self { listen, address, target: sender, acceptor }
    }

    /// The target that new connections are for.
    pub(crate) fn target(&self) -> Arc<Target> {
        Arc::clone(&self.target.borrow())
    }

    /// From now on, connections are for this target. None is refused in between.
    pub(crate) fn switch(&self, target: Arc<Target>) {
        declare(&target, &self.address);
        self.target.send_replace(target);
    }

    /// Closes the socket, and returns when it is closed.
    ///
    /// Cancel safety: the socket is closed in any case.
    pub(crate) async fn stop(mut self) {
        self.acceptor.abort();
        // An error says that it was aborted, which it was.
        (&mut self.acceptor).await.ok();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

fn declare(target: &Target, address: &str) {
    target.metrics.listener(address);
    target.health.listener_bound(true);
}

async fn accept(
    listener: Listener,
    address: String,
    target: watch::Receiver<Arc<Target>>,
    sink: Sink,
) {
    for thread in (0..sink.relays.len()).cycle() {
        let accepted = listener.accept().await;
        let Some(relay) = sink.relays.get(thread) else { continue };
        let target = Arc::clone(&target.borrow());
        let guard = target.metrics.connection_opened(&address);
        let (label, drain) = (label(&accepted, &address), sink.drain.clone());
        let connection = async move {
            // Tied to the relay's own runtime only here, where it runs.
            match into_socket(accepted) {
                Ok(socket) => {
                    serve(Connection { target, socket, label, guard, thread, drain }).await;
                }
                Err(error) => tracing::error!(%error, "an accepted socket is unusable"),
            }
        };
        relay.spawn(sink.sessions.track_future(connection));
    }
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

/// For each address that is wanted, which of those that are bound serves it, if one does: the same
/// target's before another's. One address may be wanted several times only if the system chooses the
/// port, and such a port stays with its target. Pure.
pub(crate) fn matching(
    bound: &[(&str, &Listen)],
    wanted: &[(&str, &Listen)],
) -> Vec<Option<usize>> {
    let mut taken = vec![false; bound.len()];
    let mut found = vec![None; wanted.len()];
    for of_any in [false, true] {
        for ((name, listen), place) in wanted.iter().zip(&mut found) {
            if place.is_some() || (of_any && is_chosen_by_the_system(listen)) {
                continue;
            }
            let fits = |((bound, address), taken): ((&str, &Listen), bool)| {
                !taken && address == *listen && (of_any || bound == *name)
            };
            *place = bound.iter().copied().zip(taken.iter().copied()).position(fits);
            if let Some(taken) = place.and_then(|index| taken.get_mut(index)) {
                *taken = true;
            }
        }
    }
    found
}

fn is_chosen_by_the_system(listen: &Listen) -> bool {
    matches!(listen, Listen::Tcp(address) if address.port() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bound: &[(&str, &str)], wanted: &[(&str, &str)]) -> Vec<Option<usize>> {
        let parse = |pairs: &[(&str, &str)]| -> Vec<(String, Listen)> {
            let listen = |address: &str| Listen::Tcp(address.parse().unwrap());
            pairs.iter().map(|(name, address)| ((*name).to_owned(), listen(address))).collect()
        };
        let (bound, wanted) = (parse(bound), parse(wanted));
        matching(&lend(&bound), &lend(&wanted))
    }

    fn lend(pairs: &[(String, Listen)]) -> Vec<(&str, &Listen)> {
        pairs.iter().map(|(name, listen)| (name.as_str(), listen)).collect()
    }

    const ONE: &str = "127.0.0.1:1";
    const TWO: &str = "127.0.0.1:2";
    const ANY: &str = "127.0.0.1:0";

    #[test]
    fn an_address_keeps_its_socket_whoever_it_is_for() {
        assert_eq!(found(&[("a", ONE), ("b", TWO)], &[("b", TWO), ("c", ONE)]), [Some(1), Some(0)]);
        assert_eq!(found(&[("a", ONE)], &[("a", TWO)]), [None]);
    }

    #[test]
    fn a_port_that_the_system_chose_stays_with_its_target() {
        let bound = [("a", ANY), ("b", ANY), ("b", ANY)];
        assert_eq!(found(&bound, &[("b", ANY), ("b", ANY)]), [Some(1), Some(2)]);
        assert_eq!(found(&bound, &[("c", ANY)]), [None]);
        assert_eq!(found(&bound, &[("a", ANY), ("a", ANY)]), [Some(0), None]);
    }
}
