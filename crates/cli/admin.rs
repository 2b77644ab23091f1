//! The admin listener of `pgferry run`.

use anyhow::Context as _;
use pgferry_config::Plan;
use pgferry_telemetry::{Telemetry, serve_admin};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::info;

use crate::exit::{Exit, Failure};

/// Serves metrics and health from a thread of its own, so that a scrape disturbs no session. Ends
/// when the token is dropped.
pub(crate) async fn serve(plan: &Plan, telemetry: &Telemetry) -> Result<DropGuard, Failure> {
    let stop = CancellationToken::new();
    let Some(admin) = &plan.admin else { return Ok(stop.drop_guard()) };
    let listener = TcpListener::bind(admin.listen)
        .await
        .with_context(|| format!("admin.listen: cannot listen on {}", admin.listen))
        .map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let unavailable = |error| Failure::new(Exit::Unavailable, anyhow::Error::from(error));
    let address = listener.local_addr().map_err(unavailable)?;
    let listener = listener.into_std().map_err(unavailable)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
    let (telemetry, stopped) = (telemetry.clone(), stop.clone());
    std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                match TcpListener::from_std(listener) {
                    Ok(listener) => {
                        serve_admin(listener, telemetry, stopped.cancelled_owned()).await;
                    }
                    Err(error) => tracing::error!(%error, "the admin listener is unusable"),
                }
            });
        })
        .map_err(unavailable)?;
    info!("admin on http://{address}");
    Ok(stop.drop_guard())
}
