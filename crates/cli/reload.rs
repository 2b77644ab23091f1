//! SIGHUP: the configuration is read again, and served from then on. Live sessions go on as they are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pgferry_aws::Aws;
use pgferry_config::{Found, Listen, Plan};
use pgferry_proxy::{Bound, Server, Target};
use pgferry_telemetry::{ReloadResult, Telemetry};
use pgferry_transport::Transports;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::ready_line::announce;
use crate::{assembly, observer, plugins};

/// A configuration with everything made that serving it takes, but for the listeners.
pub(crate) struct Draft {
    pub(crate) plan: Plan,
    pub(crate) transports: Transports,
    pub(crate) targets: Vec<(Arc<Target>, Vec<Listen>)>,
}

/// Where a configuration comes from: found once, and read for each reload.
#[derive(Clone)]
pub(crate) struct Origin {
    found: Found,
    /// The targets named on the command line; all, if there are none.
    selection: Vec<String>,
}

impl Origin {
    pub(crate) fn find(config: &ConfigFile, targets: &[String]) -> Result<Self, Failure> {
        let found = pgferry_config::search(config.file.as_deref()).map_err(invalid)?;
        Ok(Self { found, selection: targets.to_vec() })
    }

    /// Reads and checks it, by the rules for the place where it was found.
    pub(crate) fn read(&self) -> Result<Plan, Failure> {
        Plan::load(&self.found).and_then(|plan| plan.select(&self.selection)).map_err(invalid)
    }
}

fn invalid(error: pgferry_config::ConfigError) -> Failure {
    Failure::new(Exit::Config, error)
}

/// What is being served, and all that a reload needs.
pub(crate) struct Serving {
    telemetry: Telemetry,
    observer: Arc<observer::Transports>,
    origin: Origin,
    plan: Plan,
    transports: Transports,
    targets: BTreeMap<String, Arc<Target>>,
    server: Server,
    aws: Aws,
}

impl Serving {
    /// Binds the addresses and serves.
    pub(crate) async fn start(
        draft: Draft,
        telemetry: Telemetry,
        observer: Arc<observer::Transports>,
        origin: Origin,
        aws: Aws,
    ) -> Result<Self, Failure> {
        let Draft { plan, transports, targets } = draft;
        let by_name = by_name(&targets);
        let server = Server::start(targets, plan.relay_threads)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        telemetry.config_loaded(now());
        // Whoever waits for the ready line may ask for the probes next.
        telemetry.health().started();
        announce(&plan, &server.bound());
        Ok(Self { telemetry, observer, origin, plan, transports, targets: by_name, server, aws })
    }

    /// Reads the configuration again. If anything is wrong with it, that is logged, and nothing
    /// changes.
    ///
    /// Cancel safety: may be dropped if nothing is to be done afterwards but [`Self::stop`].
    pub(crate) async fn reload(&mut self) {
        info!(file = %self.plan.file.display(), "SIGHUP: reading the configuration again");
        match self.try_reload().await {
            Ok((changes, new)) => {
                self.telemetry.reload(ReloadResult::Applied);
                self.telemetry.config_loaded(now());
                announce(&self.plan, &new);
                info!("reloaded: {changes}");
            }
            Err(failure) => {
                self.telemetry.reload(ReloadResult::Refused);
                error!("not reloaded, nothing has changed: {failure}");
            }
        }
    }

    async fn try_reload(&mut self) -> Result<(Changes, Vec<Bound>), Failure> {
        let source = Source {
            origin: self.origin.clone(),
            telemetry: self.telemetry.clone(),
            transports: self.transports.clone(),
            targets: self.targets.clone(),
            aws: self.aws.clone(),
        };
        // Files are read and plugins make instances: not on the thread that accepts.
        let draft = tokio::task::spawn_blocking(move || source.draft())
            .await
            .map_err(|error| Failure::new(Exit::Internal, error))??;
        let new = self.server.reload(draft.targets.clone()).await;
        let new = new.map_err(|error| Failure::new(Exit::Unavailable, error))?;
        Ok((self.adopt(draft), new))
    }

    /// The draft is being served: everything else follows. Cannot fail.
    fn adopt(&mut self, draft: Draft) -> Changes {
        let Draft { mut plan, transports, targets } = draft;
        let targets = by_name(&targets);
        let changes = Changes::between((&self.plan, &self.targets), (&plan, &targets));
        let before = std::mem::replace(&mut self.transports, transports);
        let kept = |name: &str| match (before.instance(name), self.transports.instance(name)) {
            (Some(before), Some(now)) => Arc::ptr_eq(&before, &now),
            _ => false,
        };
        before.replaced_by(&self.transports);
        let followed: Vec<_> = targets.values().cloned().collect();
        self.observer.follow(&followed, kept);
        self.transports.speak();
        assembly::show_warnings(followed.iter());
        assembly::show_plugins(&self.telemetry, &self.transports, kept);
        for removed in &changes.removed {
            self.telemetry.health().forget(removed);
        }
        self.keep_what_cannot_change(&mut plan);
        self.plan = plan;
        self.targets = targets;
        changes
    }

    fn keep_what_cannot_change(&self, plan: &mut Plan) {
        if plan.admin != self.plan.admin {
            warn!("admin.listen has changed: that needs a restart");
            plan.admin.clone_from(&self.plan.admin);
        }
        if plan.relay_threads != self.plan.relay_threads {
            warn!("relay.threads has changed: that needs a restart");
            plan.relay_threads = self.plan.relay_threads;
        }
    }

    /// Asks nobody for a secret from now on.
    pub(crate) fn stop_asking(&self) {
        self.transports.stop_asking();
    }

    /// How long sessions may take to end.
    pub(crate) fn drain_limit(&self) -> Duration {
        self.plan.limits.drain
    }

    /// Lets sessions end, until `now` is cancelled, then transports.
    pub(crate) async fn stop(self, now: CancellationToken) {
        let limit = self.drain_limit();
        // Instances of earlier generations end with the last who holds them.
        drop(self.targets);
        self.server.drain(limit, now).await;
        self.transports.shutdown().await;
    }
}

/// What a new configuration is made from.
struct Source {
    origin: Origin,
    telemetry: Telemetry,
    transports: Transports,
    targets: BTreeMap<String, Arc<Target>>,
    aws: Aws,
}

impl Source {
    /// Blocks for as long as plugins take to make instances. Changes nothing.
    fn draft(self) -> Result<Draft, Failure> {
        let plan = self.origin.read()?;
        let prompt = assembly::terminal();
        let spec = |transport| plugins::instance_spec(transport, Some(&prompt), &self.aws);
        let specs = plan.transports.iter().cloned().map(spec).collect();
        let transports =
            self.transports.succeed(specs).map_err(|error| Failure::new(Exit::Plugin, error))?;
        let targets =
            assembly::targets(&plan, &self.telemetry, &transports, &self.aws, &self.targets)
                .map_err(|error| Failure::new(Exit::Config, error))?;
        Ok(Draft { plan, transports, targets })
    }
}

/// What is another than before: the names of targets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
    unchanged: usize,
    limits: Limits,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Limits {
    #[default]
    Same,
    Changed,
}

type State<'a> = (&'a Plan, &'a BTreeMap<String, Arc<Target>>);

impl Changes {
    fn between(before: State<'_>, after: State<'_>) -> Self {
        let mut changes = Self::default();
        for target in &after.0.targets {
            let name = &target.name;
            let Some(old) = before.0.targets.iter().find(|old| old.name == *name) else {
                changes.added.push(name.clone());
                continue;
            };
            let instance = |state: State<'_>| state.1.get(name).map(|t| Arc::as_ptr(t.instance()));
            if old == target && instance(before) == instance(after) {
                changes.unchanged += 1;
            } else {
                changes.changed.push(name.clone());
            }
        }
        let gone = before.1.keys().filter(|name| !after.1.contains_key(*name));
        changes.removed = gone.cloned().collect();
        if before.0.limits != after.0.limits {
            changes.limits = Limits::Changed;
        }
        changes
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists =
            [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)];
        for (word, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{word} {}; ", names.join(", "))?;
        }
        if self.limits == Limits::Changed {
            f.write_str("limits changed; ")?;
        }
        write!(f, "{} unchanged", self.unchanged)
    }
}

fn by_name(targets: &[(Arc<Target>, Vec<Listen>)]) -> BTreeMap<String, Arc<Target>> {
    targets.iter().map(|(target, _)| (target.name().to_owned(), Arc::clone(target))).collect()
}

#[expect(clippy::disallowed_methods, reason = "shown, and nothing is decided by it")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_said_in_one_line() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let changes = Changes {
            added: names(&["a", "b"]),
            changed: names(&["c"]),
            removed: names(&["d"]),
            unchanged: 3,
            limits: Limits::Changed,
        };
        let line = "added a, b; changed c; removed d; limits changed; 3 unchanged";
        assert_eq!(changes.to_string(), line);
        assert_eq!(Changes { unchanged: 2, ..Changes::default() }.to_string(), "2 unchanged");
    }
}
