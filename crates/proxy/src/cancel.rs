//! The way of a `CancelRequest` to the right backend, on the right one of an endpoint's servers.

use std::time::Duration;

use pgferry_config::Endpoint;
use pgferry_pg::CancelKey;
use pgferry_telemetry::CancelResult;
use pgferry_transport::{Purpose, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::backend::dial::{Path, Wanted, dial};
use crate::backend::identity::Shortcut;
use crate::backend::route::Route;
use crate::backend::stream::Backend;
use crate::backend::tls::TlsError;
use crate::cancel_keys::Meant;
use crate::error::ConnectionError;
use crate::sessions::Taken;
use crate::target::Target;

/// Carries a cancel request to the backend it is for, over a path of its own, and counts what became
/// of it. Returns when the database has closed that path: the application may then rely on the
/// signal having been sent.
///
/// Cancel safety: dropping it gives the request up.
pub(crate) async fn cancel(target: &Target, key: &CancelKey, client_label: &str) {
    let process_id = key.process_id();
    let result = match target.sessions.cancel_keys.find(key) {
        None => CancelResult::NotFound,
        Some(meant) => {
            let limit = target.limits.cancel;
            let forwarded = timeout(limit, forward(&meant, client_label)).await;
            let forwarded = forwarded.unwrap_or(Err(ConnectionError::CancelTimeout(limit).into()));
            forwarded.unwrap_or_else(|error| {
                tracing::warn!(target = target.name, process_id, %error, "a query was not cancelled");
                CancelResult::Failed
            })
        }
    };
    tracing::debug!(target = target.name, process_id, ?result, "cancel request");
    target.metrics.cancel(result);
}

/// Why a request was not carried to its backend. Nobody but the log is told: a cancel request has no
/// answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Path(#[from] ConnectionError),
    #[error(
        "{0} connections led to other servers of the endpoint than the session's, or its \
         certificate has changed; none of them was told the key"
    )]
    OtherServers(usize),
}

/// Sends the backend's own key, unless the query it was meant for has ended: a late cancel would hit
/// the next one. The key is for one server alone, so the connection has to have led there, on the
/// path that the session took.
async fn forward(meant: &Meant<Taken>, client_label: &str) -> Result<CancelResult, Failure> {
    let Taken { target, route } = &meant.path;
    let Some(query) = meant.activity.running() else { return Ok(CancelResult::Late) };
    let mut shortcut = meant.server.shortcut(&route.endpoint.host, &route.dial);
    let mut others = 0;
    for pause in PAUSES {
        tokio::time::sleep(pause).await;
        let taken = shortcut.take();
        let place = taken.as_ref().map_or(&route.dial, Shortcut::place);
        let patience = match taken {
            // A name that leads nowhere must leave time for the endpoint.
            Some(Shortcut::Instance(_)) => target.limits.cancel / 4,
            Some(Shortcut::Peer(_)) | None => target.limits.cancel,
        };
        let reached = timeout(patience, reach(target, route, place, client_label)).await;
        let reached = reached.unwrap_or(Err(ConnectionError::CancelTimeout(patience)));
        if meant.activity.running() != Some(query) {
            return Ok(CancelResult::Late);
        }
        let host = &place.host;
        match reached {
            Ok(backend) if meant.server.is_behind(&backend) => {
                return Ok(hand_over(backend, &meant.theirs).await?);
            }
            Ok(_other) => {
                others += 1;
                tracing::debug!(target = target.name, host, "cancel request: another server");
            }
            Err(error) if leaves_hope(taken.as_ref(), &error) => {
                tracing::debug!(target = target.name, host, %error, "cancel request: no way there");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::OtherServers(others))
}

/// Whether the endpoint may lead where a shortcut did not. Where nobody answers at the very address of
/// the session, its server is gone.
fn leaves_hope(taken: Option<&Shortcut>, error: &ConnectionError) -> bool {
    match taken {
        None => false,
        Some(Shortcut::Instance(_)) => true,
        Some(Shortcut::Peer(_)) => !matches!(
            error,
            ConnectionError::Transport(error)
                if matches!(error.status, Status::Unreachable | Status::Timeout)
        ),
    }
}

async fn reach(
    target: &Target,
    route: &Route,
    to: &Endpoint,
    client_label: &str,
) -> Result<Backend, ConnectionError> {
    let database = route.database.as_deref();
    let (cluster, purpose) = (route.cluster.as_ref(), Purpose::Cancel);
    let wanted = Wanted { to, database, cluster, user: None, purpose, client_label };
    let certificate = target.certificate().await?;
    let mut refused = None;
    for beginning in route.tls.beginnings() {
        let Path { socket, .. } =
            dial(target, &wanted).await.map_err(ConnectionError::Transport)?;
        match route.tls.connect(socket, *beginning, certificate.clone()).await {
            Ok((backend, _)) => return Ok(backend),
            Err(error) if error.may_need_a_request() => refused = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(refused.unwrap_or(TlsError::Closed).into())
}

async fn hand_over(mut backend: Backend, key: &CancelKey) -> Result<CancelResult, ConnectionError> {
    let lost = |error| ConnectionError::Login(crate::backend::login::LoginError::Io(error));
    backend.write_all(&key.encode_cancel_request()).await.map_err(lost)?;
    backend.flush().await.map_err(lost)?;
    // PostgreSQL answers by closing. A reset counts as well: the request has been read by then.
    let mut rest = [0; 64];
    while !matches!(backend.read(&mut rest).await, Ok(0) | Err(_)) {}
    Ok(CancelResult::Forwarded)
}

/// Before each try. The first ones follow at once, because an endpoint may take turns; the later ones
/// outlast a name server that gives the same answer for a second.
const PAUSES: [Duration; 8] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(1),
];
