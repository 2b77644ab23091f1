//! A path to the database, from the target's transport.

use std::net::SocketAddr;
use std::time::Duration;

use pgferry_config::Endpoint;
use pgferry_transport::{
    CloseReason, Cluster, Connection, OpenError, OpenRequest, Purpose, Status,
};
use tokio::time::Instant;

use crate::socket::Socket;
use crate::target::Target;

/// A connected socket, and a way to ask why it ended.
pub(crate) struct Path {
    pub(crate) socket: Socket,
    pub(crate) closed: CloseReason,
    /// The address that was reached, if the transport knows it.
    pub(crate) peer: Option<SocketAddr>,
}

/// What is asked of the transport.
pub(crate) struct Wanted<'a> {
    /// Where to go: the route's endpoint, or one of the servers behind it.
    pub(crate) to: &'a Endpoint,
    pub(crate) database: Option<&'a str>,
    pub(crate) cluster: Option<&'a Cluster>,
    pub(crate) user: Option<&'a str>,
    pub(crate) purpose: Purpose,
    pub(crate) client_label: &'a str,
}

/// How long a throttled transport is left alone if it does not say itself.
const THROTTLED_PAUSE: Duration = Duration::from_millis(500);

/// However soon a transport says that it may be asked again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Opens a path, within the limit of its purpose.
///
/// A refusal or an unreachable host fails at once. A transport that was throttled is asked again
/// while there is time, and one whose peer broke the protocol is asked once more.
///
/// Cancel safety: dropping it cancels the open.
pub(crate) async fn dial(target: &Target, wanted: &Wanted<'_>) -> Result<Path, OpenError> {
    let limits = &target.limits;
    let limit = match wanted.purpose {
        Purpose::Cancel => limits.cancel,
        Purpose::Session | Purpose::Probe => limits.tunnel_open,
    };
    let deadline = Instant::now() + limit;
    let mut protocol_retried = false;
    loop {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let request = request(target, wanted, remaining);
        let error = match target.instance.open(request).await {
            Ok(connection) => return path(target, connection),
            Err(error) => error,
        };
        let pause = match error.status {
            Status::Throttled => error.retry_after.unwrap_or(THROTTLED_PAUSE).max(SHORTEST_PAUSE),
            Status::Protocol if !protocol_retried => Duration::ZERO,
            _ => return Err(error),
        };
        protocol_retried |= error.status == Status::Protocol;
        // Spread out, so that throttled clients do not come back together.
        let pause = pause.mul_f64(rand::random_range(1.0..1.5));
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
    }
}

fn request(target: &Target, wanted: &Wanted<'_>, limit: Duration) -> OpenRequest {
    let limits = &target.limits;
    OpenRequest {
        host: wanted.to.host.clone(),
        port: wanted.to.port,
        database: wanted.database.map(str::to_owned),
        user: wanted.user.map(str::to_owned),
        purpose: wanted.purpose,
        limit,
        tcp_limit: limits.tcp,
        idle_tunnel: limits.idle_tunnel,
        cluster: wanted.cluster.cloned(),
        client_label: Some(wanted.client_label.to_owned()),
    }
}

fn path(target: &Target, connection: Connection) -> Result<Path, OpenError> {
    // Who speaks PostgreSQL itself has no server behind an address.
    let peer = connection.detail.peer.filter(|_| !target.instance.speaks_postgres());
    let peer = peer.and_then(|peer| peer.parse().ok());
    match Socket::from_fd(connection.socket) {
        Ok(socket) => Ok(Path { socket, closed: connection.closed, peer }),
        Err(error) => Err(OpenError {
            status: Status::Internal,
            message: format!("the transport's socket cannot be used: {error}"),
            hint: None,
            retry_after: None,
        }),
    }
}
