//! `pgferry run`: serves until a signal.

use std::sync::Arc;

use pgferry_aws::Aws;
use pgferry_telemetry::Telemetry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin;
use crate::args::Run;
use crate::assembly::{Parts, assemble, show_warnings, terminal};
use crate::exit::{Exit, Failure};
use crate::hangup::Hangup;
use crate::reload::{Draft, Origin, Serving};
use crate::{logging, observer};

pub(crate) fn run(run: &Run) -> Result<Exit, Failure> {
    logging::install(run.log_format, run.log_level);
    raise_open_files();
    let origin = Origin::find(&run.config, &run.targets)?;
    let plan = origin.read()?;
    let Parts { plan, telemetry, transports, targets, observer, aws, runtime } =
        assemble(plan, &run.plugins, Some(&terminal()))?;
    show_warnings(targets.iter().map(|(target, _)| target));
    let draft = Draft { plan, transports, targets };
    let control = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    let outcome = control.block_on(serve(draft, telemetry, observer, origin, aws));
    // A reload may be under way on it: nothing waits for that.
    control.shutdown_background();
    // Here, because a runtime must not be dropped on another one. Plugins may have threads of their
    // own: nothing waits for those.
    runtime.shutdown_background();
    outcome
}

/// A session takes four descriptors, seven while writes have to wait, and the usual soft limit is made for programs that use
/// `select`, which nothing here does.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

async fn serve(
    draft: Draft,
    telemetry: Telemetry,
    observer: Arc<observer::Transports>,
    origin: Origin,
    aws: Aws,
) -> Result<Exit, Failure> {
    let internal = |error: std::io::Error| Failure::new(Exit::Internal, error);
    // Before anything listens, so that a signal in between is not lost.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(internal)?;
    let terminal = Hangup::expected();
    let _admin = admin::serve(&draft.plan, &telemetry).await?;
    let upkeep = telemetry.clone();
    tokio::spawn(async move { upkeep.upkeep_forever().await });
    let mut serving = Serving::start(draft, telemetry.clone(), observer, origin, aws).await?;
    let hung_up = async {
        loop {
            // Several at once count as one, and one that comes during a reload starts another.
            hangup.recv().await;
            if terminal.has_come() {
                break;
            }
            serving.reload().await;
        }
    };
    let exit = tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
        () = hung_up => Exit::HungUp,
    };
    telemetry.health().draining();
    serving.stop_asking();
    let limit = serving.drain_limit();
    info!(?limit, "stopping: sessions may finish; a second signal ends them");
    let now = CancellationToken::new();
    let hurry = hurry(interrupt, terminate, now.clone());
    tokio::select! {
        () = serving.stop(now) => {}
        () = hurry => {}
    }
    info!("stopped");
    Ok(exit)
}

/// Passes a second signal on. Never completes.
async fn hurry(mut interrupt: Signal, mut terminate: Signal, now: CancellationToken) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    warn!("second signal: ending every session");
    now.cancel();
    std::future::pending::<()>().await;
}
