//! Listens, and knows what sessions have to know.

use std::sync::Arc;

use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{
    answer::Answers,
    backend::Backend,
    login::Logins,
    session,
    token::{Flaw, Rules},
};
use crate::aws::World;

pub(super) struct Front {
    pub(super) rules: Rules,
    pub(super) backend: Backend,
    pub(super) logins: Logins,
    pub(super) answers: Answers,
    pub(super) tls: TlsAcceptor,
    pub(super) direct_tls: bool,
    pub(super) world: Arc<World>,
}

impl Front {
    pub(super) fn now(&self) -> u64 {
        self.world.clock.now()
    }

    /// Returns the id of the key that signed `token`.
    pub(super) fn check(&self, token: &str, user: &str) -> Result<String, Flaw> {
        let now = self.now();
        self.rules.check(token, user, &self.world.state().principals, now)
    }

    /// Runs until `stopped`; sessions end with it.
    pub(super) async fn run(
        self: Arc<Self>,
        socket: std::net::TcpListener,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let port = socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket));
        let Ok(port) = port else { return };
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                accepted = port.accept() => if let Ok((stream, peer)) = accepted {
                    let front = self.clone();
                    sessions.spawn(async move {
                        session::serve(&front, stream, peer).await.ok();
                    });
                },
                Some(_) = sessions.join_next() => {}
            }
        }
    }
}
