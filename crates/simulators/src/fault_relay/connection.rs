//! One relayed connection.

use std::net::SocketAddr;

use tokio::{net::TcpStream, sync::watch};

use super::{
    counters::Counters,
    pump::{End, Pump},
    settings::{Direction, Settings},
};

pub(super) struct Connection {
    settings: watch::Receiver<Settings>,
    count: watch::Sender<Counters>,
    // Taken when the connection is accepted: what was asked for before is not for it.
    before: Settings,
}

impl Connection {
    pub(super) fn new(settings: watch::Receiver<Settings>, count: watch::Sender<Counters>) -> Self {
        let before = settings.borrow().clone();
        count.send_modify(|counters| counters.open += 1);
        Self { settings, count, before }
    }

    pub(super) async fn relay(self, mut frontend: TcpStream, upstream: SocketAddr) {
        let Ok(mut backend) = TcpStream::connect(upstream).await else {
            return reset(frontend);
        };
        // The relay must not add Nagle's delay to the one that was asked for.
        frontend.set_nodelay(true).ok();
        backend.set_nodelay(true).ok();
        let end = {
            let (frontend_read, frontend_write) = frontend.split();
            let (backend_read, backend_write) = backend.split();
            let there = self.pump(Direction::TowardsBackend).run(frontend_read, backend_write);
            let back = self.pump(Direction::TowardsFrontend).run(backend_read, frontend_write);
            tokio::select! {
                end = async { tokio::try_join!(there, back) } => end.err(),
                () = self.reset_asked() => Some(End::Reset),
            }
        };
        if matches!(end, Some(End::Reset)) {
            reset(frontend);
            reset(backend);
        }
    }

    /// Holds the connection without reading from it.
    pub(super) async fn swallow(self, frontend: TcpStream) {
        self.reset_asked().await;
        reset(frontend);
    }

    fn pump(&self, direction: Direction) -> Pump {
        Pump {
            direction,
            settings: self.settings.clone(),
            count: self.count.clone(),
            half_closes_before: self.before.lane(direction).half_closes,
        }
    }

    async fn reset_asked(&self) {
        let mut settings = self.settings.clone();
        // An error means that the relay is going away, which ends this connection too.
        settings.wait_for(|settings| settings.resets != self.before.resets).await.ok();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.count.send_modify(|counters| counters.open -= 1);
    }
}

/// Closes with RST instead of FIN.
pub(super) fn reset(stream: TcpStream) {
    // It fails only on a socket that is already gone.
    stream.set_zero_linger().ok();
    drop(stream);
}
