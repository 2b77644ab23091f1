//! `pgferry run`: wires the parts together and serves until a signal.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use anyhow::Context as _;
use pgferry_config::{Credential, Listen, LocalIdentity, LocalTls, Plan, SecretSource};
use pgferry_credentials::{Password, Source};
use pgferry_pg::Operation;
use pgferry_proxy::{Bound, Target, TargetParts};
use pgferry_telemetry::{BuildInfo, PluginInfo, Settings, Telemetry, serve_admin};
use pgferry_transport::{PluginSource, Prompt, Transports};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::args::{ConfigFile, PluginDirectories, Run};
use crate::exit::{Exit, Failure};
use crate::hangup::Hangup;
use crate::reload::{Draft, Origin, Serving};
use crate::terminal::Terminal;
use crate::version::{COMMIT, RUSTC, VERSION};
use crate::{local_ca, logging, observer, plugins};

/// Everything that a run needs, before the first listener.
pub(crate) struct Parts {
    pub(crate) plan: Plan,
    pub(crate) telemetry: Telemetry,
    pub(crate) transports: Transports,
    pub(crate) targets: Vec<(Arc<Target>, Vec<Listen>)>,
    pub(crate) observer: Arc<observer::Transports>,
    /// Where transports run: not on the relays' threads, and not on the one that accepts.
    pub(crate) runtime: Runtime,
}

pub(crate) fn run(run: &Run) -> Result<Exit, Failure> {
    logging::install(run.log_format, run.log_level);
    raise_open_files();
    let origin = Origin::find(&run.config, &run.targets)?;
    let plan = origin.read()?;
    let Parts { plan, telemetry, transports, targets, observer, runtime } =
        assemble(plan, &run.plugins, Some(&terminal()))?;
    show_warnings(targets.iter().map(|(target, _)| target));
    let draft = Draft { plan, transports, targets };
    let control = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    let outcome = control.block_on(serve(draft, telemetry, observer, origin));
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

/// Finds, reads and checks the configuration, with every target, and without a look at where they have their secrets from.
pub(crate) fn load(config: &ConfigFile) -> Result<Plan, Failure> {
    pgferry_config::search(config.file.as_deref())
        .and_then(|found| Plan::load(&found))
        .map_err(|error| Failure::new(Exit::Config, error))
}

/// Whom to ask for what only a person knows.
pub(crate) fn terminal() -> Arc<dyn Prompt> {
    Arc::new(Terminal)
}

/// Loads plugins, roots and local passwords. Touches no network, and asks nobody.
pub(crate) fn assemble(
    plan: Plan,
    plugins: &PluginDirectories,
    prompt: Option<&Arc<dyn Prompt>>,
) -> Result<Parts, Failure> {
    let internal = |error| Failure::new(Exit::Internal, error);
    let telemetry = Telemetry::install(build_info(), Settings::new(operations()))
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("transport")
        .enable_all()
        .build()
        .context("cannot start the transports' threads")
        .map_err(internal)?;
    pgferry_transport_sdk::link(runtime.handle().clone());
    let observer = Arc::new(observer::Transports::new(&telemetry));
    let transports = Transports::start(
        plan.transports.iter().cloned().map(|of| plugins::instance_spec(of, prompt)).collect(),
        &plugins::linked(),
        plugins::search_path(plugins),
        Arc::<observer::Transports>::clone(&observer),
        runtime.handle().clone(),
    )
    .map_err(|error| Failure::new(Exit::Plugin, error))?;
    show_plugins(&telemetry, &transports, |_| false);
    telemetry.health().plugins_loaded();
    let targets = targets(&plan, &telemetry, &transports, &BTreeMap::new())
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let followed: Vec<_> = targets.iter().map(|(target, _)| Arc::clone(target)).collect();
    observer.follow(&followed, |_| true);
    Ok(Parts { plan, telemetry, transports, targets, observer, runtime })
}

fn build_info() -> BuildInfo {
    BuildInfo { version: VERSION, commit: COMMIT, rustc: RUSTC }
}

/// The words for the label, in the order of the enum.
fn operations() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&str>> =
        LazyLock::new(|| Operation::ALL.iter().map(|operation| operation.as_str()).collect());
    &NAMES
}

/// Says which plugins are behind the instances, but for those that are `known`.
pub(crate) fn show_plugins(
    telemetry: &Telemetry,
    transports: &Transports,
    known: impl Fn(&str) -> bool,
) {
    for instance in transports.instances().filter(|instance| !known(instance.name())) {
        let plugin = instance.plugin();
        let sha256 = match &plugin.source {
            PluginSource::Loaded { path, sha256 } => {
                let hex = hex(sha256);
                info!(
                    name = plugin.name, version = plugin.version, path = %path.display(),
                    sha256 = hex, "plugin loaded"
                );
                Some(hex)
            }
            PluginSource::BuiltIn | PluginSource::Linked => None,
        };
        telemetry.plugin_info(&PluginInfo {
            name: &plugin.name,
            version: &plugin.version,
            abi: &plugins::contract(),
            sha256: sha256.as_deref(),
        });
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// Makes the targets of a plan. They take over from those of the same name `before`.
pub(crate) fn targets(
    plan: &Plan,
    telemetry: &Telemetry,
    transports: &Transports,
    before: &BTreeMap<String, Arc<Target>>,
) -> anyhow::Result<Vec<(Arc<Target>, Vec<Listen>)>> {
    let limits = Arc::new(plan.limits.clone());
    let mut targets = Vec::with_capacity(plan.targets.len());
    for target in &plan.targets {
        let instance = transports.instance(&target.transport).with_context(|| {
            format!("target \"{}\": transport {} is gone", target.name, target.transport)
        })?;
        let parts = TargetParts {
            metrics: telemetry.target(&target.name, &instance.plugin().name),
            health: telemetry.health().prospect(&target.name),
            source: source(&target.credential),
            limits: Arc::clone(&limits),
            instance,
            before: before.get(&target.name).cloned(),
        };
        let made = Target::new(target, parts)
            .with_context(|| format!("{}: targets.{}", plan.file.display(), target.name))?;
        targets.push((Arc::new(made), target.listen.clone()));
    }
    Ok(targets)
}

fn source(credential: &Credential) -> Source {
    let Credential::Password { user, password } = credential;
    let password = match password {
        SecretSource::Env(name) => Password::Env(name.clone()),
        SecretSource::File(file) => Password::File(file.clone()),
        SecretSource::Literal(secret) => Password::Literal(secret.expose().into()),
    };
    Source::Password { user: user.clone(), password }
}

async fn serve(
    draft: Draft,
    telemetry: Telemetry,
    observer: Arc<observer::Transports>,
    origin: Origin,
) -> Result<Exit, Failure> {
    let internal = |error: std::io::Error| Failure::new(Exit::Internal, error);
    // Before anything listens, so that a signal in between is not lost.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(internal)?;
    let terminal = Hangup::expected();
    let _admin = admin(&draft.plan, &telemetry).await?;
    let upkeep = telemetry.clone();
    tokio::spawn(async move { upkeep.upkeep_forever().await });
    let mut serving = Serving::start(draft, telemetry.clone(), observer, origin).await?;
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

/// Serves metrics and health from a thread of its own, so that a scrape disturbs no session. Ends
/// when the token is dropped.
async fn admin(plan: &Plan, telemetry: &Telemetry) -> Result<tokio_util::sync::DropGuard, Failure> {
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

/// Says what the user should know about targets that can be served.
pub(crate) fn show_warnings<'a>(targets: impl Iterator<Item = &'a Arc<Target>>) {
    for target in targets {
        for warning in target.warnings() {
            warn!("target \"{}\": {warning}", target.name());
        }
    }
}

/// Says where applications may connect.
pub(crate) fn announce(plan: &Plan, bound: &[Bound]) {
    for bound in bound {
        let target = plan.targets.iter().find(|target| target.name == bound.target);
        let kind = target
            .and_then(|target| plan.transports.iter().find(|t| t.name == target.transport))
            .map_or("", |transport| transport.kind.as_str());
        let tls = target.and_then(|target| target.local_tls.as_ref());
        let connect = psql(&bound.address, tls);
        info!(
            "ready: target {} on {} ({kind}); connect with: {connect}",
            bound.target, bound.address
        );
    }
}

/// The command that connects to a listener, for copying. With the local CA it verifies; with a
/// certificate of the user's own only the user knows what clients trust and call this machine, and
/// libpq's default takes TLS where it is offered.
fn psql(address: &str, tls: Option<&LocalTls>) -> String {
    let (host, port) = address
        .split_once("/.s.PGSQL.")
        .or_else(|| address.rsplit_once(':'))
        .unwrap_or((address, "5432"));
    let host = host.trim_matches(['[', ']']);
    if let Some(LocalTls { identity: LocalIdentity::LocalCa { directory }, .. }) = tls
        && host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    {
        return local_ca::psql(&pgferry_local_ca::certificate_file(directory), port);
    }
    format!("psql -h {host} -p {port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_listener_has_a_command_to_copy() {
        assert_eq!(psql("127.0.0.1:15432", None), "psql -h 127.0.0.1 -p 15432");
        assert_eq!(psql("[::1]:15432", None), "psql -h ::1 -p 15432");
        assert_eq!(psql("/run/pg/.s.PGSQL.5432", None), "psql -h /run/pg -p 5432");
        let identity = LocalIdentity::LocalCa { directory: "/home/me/ca".into() };
        let tls = Some(&LocalTls { identity, required: true });
        assert_eq!(
            psql("127.0.0.1:15432", tls),
            "psql \"host=localhost port=15432 sslmode=verify-full sslrootcert=/home/me/ca/ca.pem\""
        );
        assert_eq!(psql("192.0.2.1:15432", tls), "psql -h 192.0.2.1 -p 15432");
        assert_eq!(psql("/run/pg/.s.PGSQL.5432", tls), "psql -h /run/pg -p 5432");
    }
}
