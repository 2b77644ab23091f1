//! Opens and closes the relay's port, and owns its connections.

use std::{io, net::SocketAddr, sync::mpsc::SyncSender};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc::UnboundedReceiver, oneshot, watch},
    task::JoinSet,
};

use super::{
    connection::{self, Connection},
    counters::Counters,
    settings::{NewConnections, Settings},
};

pub(super) struct Listener {
    pub(super) upstream: SocketAddr,
    pub(super) address: SocketAddr,
    pub(super) settings: watch::Receiver<Settings>,
    pub(super) count: watch::Sender<Counters>,
}

/// What to do with new connections, and whom to tell once that holds.
pub(super) struct Order {
    pub(super) policy: NewConnections,
    pub(super) done: SyncSender<()>,
}

impl Listener {
    /// Runs until `stopped`; connections end with it.
    pub(super) async fn run(
        self,
        socket: std::net::TcpListener,
        mut orders: UnboundedReceiver<Order>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let mut port =
            socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket)).ok();
        let mut policy = NewConnections::default();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                Some(order) = orders.recv() => {
                    policy = order.policy;
                    port = self.door(policy, port).await;
                    // The one who asked may have stopped waiting.
                    order.done.send(()).ok();
                }
                accepted = accept(port.as_ref()) => if let Ok(stream) = accepted {
                    self.count.send_modify(|counters| counters.accepted += 1);
                    connections.spawn(self.connection(stream, policy));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn door(&self, policy: NewConnections, port: Option<TcpListener>) -> Option<TcpListener> {
        match (policy, port) {
            (NewConnections::Refuse, _) => None,
            (_, Some(open)) => Some(open),
            (_, None) => TcpListener::bind(self.address).await.ok(),
        }
    }

    fn connection(
        &self,
        frontend: TcpStream,
        policy: NewConnections,
    ) -> impl Future<Output = ()> + use<> {
        let settings = self.settings.clone();
        let connection = Connection::new(settings, self.count.clone());
        let upstream = self.upstream;
        async move {
            match policy {
                NewConnections::Relay => connection.relay(frontend, upstream).await,
                NewConnections::Swallow => connection.swallow(frontend).await,
                NewConnections::Reset | NewConnections::Refuse => connection::reset(frontend),
            }
        }
    }
}

async fn accept(port: Option<&TcpListener>) -> io::Result<TcpStream> {
    match port {
        Some(port) => port.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}
