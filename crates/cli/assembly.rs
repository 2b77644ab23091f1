//! The parts of the program, wired together for a plan.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use anyhow::Context as _;
use pgferry_aws::Aws;
use pgferry_config::{Listen, Plan};
use pgferry_pg::Operation;
use pgferry_proxy::{Target, TargetParts};
use pgferry_telemetry::{BuildInfo, PluginInfo, Settings, Telemetry};
use pgferry_transport::{PluginSource, Prompt, Transports};
use tokio::runtime::{Builder, Runtime};
use tracing::{info, warn};

use crate::access::access;
use crate::args::{ConfigFile, PluginDirectories};
use crate::exit::{Exit, Failure};
use crate::hex::hex;
use crate::terminal::Terminal;
use crate::version::{COMMIT, RUSTC, VERSION};
use crate::{observer, plugins};

/// Everything that serving takes, before the first listener.
pub(crate) struct Parts {
    pub(crate) plan: Plan,
    pub(crate) telemetry: Telemetry,
    pub(crate) transports: Transports,
    pub(crate) targets: Vec<(Arc<Target>, Vec<Listen>)>,
    pub(crate) observer: Arc<observer::Transports>,
    /// One for the whole process: what it has found serves every target and transport, over reloads.
    pub(crate) aws: Aws,
    /// Where transports run: not on the relays' threads, and not on the one that accepts.
    pub(crate) runtime: Runtime,
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
    let aws = Aws::new();
    let spec = |of| plugins::instance_spec(of, prompt, &aws);
    let transports = Transports::start(
        plan.transports.iter().cloned().map(spec).collect(),
        &plugins::linked(),
        plugins::search_path(plugins),
        Arc::<observer::Transports>::clone(&observer),
        runtime.handle().clone(),
    )
    .map_err(|error| Failure::new(Exit::Plugin, error))?;
    show_plugins(&telemetry, &transports, |_| false);
    telemetry.health().plugins_loaded();
    let targets = targets(&plan, &telemetry, &transports, &aws, &BTreeMap::new())
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let followed: Vec<_> = targets.iter().map(|(target, _)| Arc::clone(target)).collect();
    observer.follow(&followed, |_| true);
    Ok(Parts { plan, telemetry, transports, targets, observer, aws, runtime })
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

/// Makes the targets of a plan. They take over from those of the same name `before`.
pub(crate) fn targets(
    plan: &Plan,
    telemetry: &Telemetry,
    transports: &Transports,
    aws: &Aws,
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
            access: access(target, aws, instance.speaks_postgres()),
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

/// Says what the user should know about targets that can be served.
pub(crate) fn show_warnings<'a>(targets: impl Iterator<Item = &'a Arc<Target>>) {
    for target in targets {
        for warning in target.warnings() {
            warn!("target \"{}\": {warning}", target.name());
        }
    }
}
