//! The way of a `CancelRequest` to the right backend.

use pgferry_pg::CancelKey;
use pgferry_telemetry::CancelResult;
use pgferry_transport::Purpose;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::backend::dial::{Path, dial};
use crate::cancel_keys::Entry;
use crate::error::ConnectionError;
use crate::target::Target;

/// Carries a cancel request to the backend it is for, over a path of its own, and counts what became
/// of it. Returns when the database has closed that path: the application may then rely on the
/// signal having been sent.
///
/// Cancel safety: dropping it gives the request up.
pub(crate) async fn cancel(target: &Target, key: &CancelKey, client_label: &str) {
    let process_id = key.process_id();
    let result = match target.cancel_keys.find(key) {
        None => CancelResult::NotFound,
        Some(entry) => {
            let limit = target.limits.cancel;
            let forwarded = timeout(limit, forward(target, &entry, client_label)).await;
            let forwarded = forwarded.unwrap_or(Err(ConnectionError::CancelTimeout(limit)));
            forwarded.unwrap_or_else(|error| {
                tracing::warn!(target = target.name, process_id, %error, "a query was not cancelled");
                CancelResult::Failed
            })
        }
    };
    tracing::debug!(target = target.name, process_id, ?result, "cancel request");
    target.metrics.cancel(result);
}

/// Sends the backend's own key, unless the query it was meant for has ended: a late cancel would hit
/// the next one.
async fn forward(
    target: &Target,
    entry: &Entry,
    client_label: &str,
) -> Result<CancelResult, ConnectionError> {
    let Some(query) = entry.activity.running() else { return Ok(CancelResult::Late) };
    let Path { socket, closed: _closed } = dial(target, None, Purpose::Cancel, client_label)
        .await
        .map_err(ConnectionError::Transport)?;
    let (mut backend, _) = target.tls.connect(socket).await?;
    if entry.activity.running() != Some(query) {
        return Ok(CancelResult::Late);
    }
    let lost = |error| ConnectionError::Login(crate::backend::login::LoginError::Io(error));
    backend.write_all(&entry.theirs.encode_cancel_request()).await.map_err(lost)?;
    backend.flush().await.map_err(lost)?;
    // PostgreSQL answers by closing. A reset counts as well: the request has been read by then.
    let mut rest = [0; 64];
    while !matches!(backend.read(&mut rest).await, Ok(0) | Err(_)) {}
    Ok(CancelResult::Forwarded)
}
