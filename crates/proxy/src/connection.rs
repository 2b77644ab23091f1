//! One connection's life: login here, a path, login there, relay, last words.

mod ending;
mod entering;
mod establish;
mod restart;
mod session;
mod timings;
mod waiting;

use std::sync::Arc;

use pgferry_telemetry::{CloseReason, ConnectionGuard, Origin, Severity};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::establish::Established;
use crate::backend::login::LoginError;
use crate::conversation::Conversation;
use crate::error::{Blame, ConnectionError};
use crate::farewell::farewell;
use crate::frontend::stream::Frontend;
use crate::relay::Drain;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::target::Target;

/// An accepted connection, and where it belongs.
pub(crate) struct Connection {
    pub(crate) target: Arc<Target>,
    pub(crate) socket: Socket,
    /// Who it is, for logs and the transport: its address, or the listener's for a unix socket.
    pub(crate) label: String,
    pub(crate) guard: ConnectionGuard,
    /// The relay thread it runs on.
    pub(crate) thread: usize,
    pub(crate) drain: Drain,
}

/// Serves a connection to its end. Never fails: what went wrong was told to the application, counted
/// and logged.
///
/// Cancel safety: dropping it closes both sides at once.
pub(crate) async fn serve(connection: Connection) {
    let Connection { target, socket, label, guard, thread, drain } = connection;
    let accepted = Instant::now();
    let mut client = Conversation::new(Stream::Plain(socket));
    // Boxed, so that a session at rest does not carry the state of its login.
    let established =
        Box::pin(establish::establish(&target, &mut client, &label, &drain, accepted)).await;
    let reason = match established {
        Ok(Established::Session(opened)) => {
            info!(
                target = target.name, client = label, user = opened.entered.user,
                phases = %opened.timings, "session opened"
            );
            target.health.working();
            let reason = session::run(&target, client, *opened, thread, &drain).await;
            info!(
                target = target.name,
                client = label,
                reason = reason.label(),
                seconds = accepted.elapsed().as_secs(),
                "session closed"
            );
            reason
        }
        Ok(Established::Cancelled) => {
            farewell(&mut client.stream, &[]).await;
            CloseReason::CancelRequest
        }
        Err(error) => refuse(&target, &mut client.stream, &error, &label).await,
    };
    guard.close(reason);
}

/// Tells the application why there is no session, and counts and logs it.
async fn refuse(
    target: &Target,
    frontend: &mut Frontend,
    error: &ConnectionError,
    label: &str,
) -> CloseReason {
    let hop = error.hop();
    match error.blame() {
        // Nobody tells the application: its own side saw no more than that TLS failed.
        Blame::Frontend if matches!(error, ConnectionError::LocalTls(_)) => {
            warn!(target = target.name, client = label, hop, %error, "no local TLS");
        }
        Blame::Frontend | Blame::Proxy => {
            debug!(target = target.name, client = label, hop, %error, "connection refused");
        }
        Blame::Backend | Blame::Transport | Blame::Credentials => {
            warn!(target = target.name, client = label, hop, %error, "no session");
            target.health.failing(hop, error.label());
        }
    }
    if let Some(report) = error.report(&target.subject) {
        let origin = match error.blame() {
            _ if matches!(error, ConnectionError::Login(LoginError::Denied { .. })) => {
                Origin::Server
            }
            Blame::Transport => Origin::Transport,
            Blame::Backend => Origin::Server,
            Blame::Frontend | Blame::Credentials | Blame::Proxy => Origin::Proxy,
        };
        target.metrics.error(Severity::Fatal, report.sql_state.as_str(), origin);
    }
    farewell(frontend, &error.last_words(&target.subject)).await;
    error.close_reason()
}
