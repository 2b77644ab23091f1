//! All configured transports, from start to shutdown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::exec::{self, Exec};
use crate::guest::{Guest, Setup};
use crate::instance::{DIRECT_KIND, Way};
use crate::layers::layers;
use crate::loader::Loader;
use crate::plugin::Plugin;
use crate::secret::Secrets;
use crate::{Entry, Instance, InstanceSpec, LoadError, LoadFailure, Observer, SearchPath};

/// All configured transports. Cheap to clone.
#[derive(Clone)]
pub struct Transports(Arc<All>);

struct All {
    instances: BTreeMap<String, Arc<Instance>>,
    /// The order to end them in: what lies on top first.
    layers: Vec<Vec<Arc<Instance>>>,
}

impl Transports {
    /// Loads the plugins and makes the instances. No network is touched.
    ///
    /// `runtime` carries the calls into plugins, the dials and the timers; it needs worker threads
    /// of its own and both drivers. It must outlive the transports. Waits for each plugin's `create`
    /// (10 s at most), so it is not for an async worker thread.
    ///
    /// **Errors**: the first instance that cannot be made; the user's fault (configuration,
    /// permissions) or the plugin author's. Those made before are destroyed in the background.
    pub fn start(
        specs: Vec<InstanceSpec>,
        linked: &[(&'static str, Entry)],
        search: SearchPath,
        observer: Arc<dyn Observer>,
        runtime: Handle,
    ) -> Result<Self, LoadError> {
        let mut starting = Starting {
            loader: Loader::new(linked, search),
            observer,
            runtime,
            instances: BTreeMap::new(),
        };
        let mut made = Vec::new();
        for layer in layers(specs)? {
            made.push(Vec::new());
            for spec in layer {
                let name = spec.name.clone();
                match starting.make(spec) {
                    Ok(instance) => made.last_mut().into_iter().for_each(|layer| {
                        layer.push(Arc::clone(&instance));
                    }),
                    Err(failure) => {
                        drop(starting.runtime.spawn(end(made)));
                        return Err(failure.of(name));
                    }
                }
            }
        }
        Ok(Self(Arc::new(All { instances: starting.instances, layers: made })))
    }

    /// The instance of that name.
    pub fn instance(&self, name: &str) -> Option<Arc<Instance>> {
        self.0.instances.get(name).cloned()
    }

    /// Every instance, by name.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.0.instances.values()
    }

    /// Asks nobody for a secret from now on, and takes back what is being asked.
    pub fn stop_asking(&self) {
        for guest in self.instances().filter_map(|instance| instance.guest()) {
            guest.secrets.stop_asking();
        }
    }

    /// Cancels every open, then destroys the instances, those on top of others first. Each has 10 s;
    /// one that does not end in that time is leaked, and logged. Streams should be closed before:
    /// a plugin may wait for its own.
    ///
    /// Cancel safety: a dropped future leaves the instances that are not destroyed yet running.
    pub async fn shutdown(self) {
        end(self.0.layers.clone()).await;
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.instances.keys()).finish()
    }
}

struct Starting<'a> {
    loader: Loader<'a>,
    observer: Arc<dyn Observer>,
    runtime: Handle,
    instances: BTreeMap<String, Arc<Instance>>,
}

impl Starting<'_> {
    fn make(&mut self, spec: InstanceSpec) -> Result<Arc<Instance>, LoadFailure> {
        let (name, cap) = (spec.name.clone(), spec.max_concurrent_opens);
        let way = match spec.kind.as_str() {
            DIRECT_KIND => direct(&spec)?,
            exec::KIND => self.exec(&spec)?,
            _ => self.guest(spec)?,
        };
        let instance = Arc::new(Instance::new(name.clone(), way, cap, Arc::clone(&self.observer)));
        self.instances.insert(name, Arc::clone(&instance));
        Ok(instance)
    }

    fn exec(&self, spec: &InstanceSpec) -> Result<Way, LoadFailure> {
        built_in(spec)?;
        Exec::create(spec, self.runtime.clone()).map(Way::Exec)
    }

    fn guest(&mut self, spec: InstanceSpec) -> Result<Way, LoadFailure> {
        let plugin = self.loader.plugin(&spec)?;
        let via = self.beneath(&spec, &plugin)?;
        let setup = Setup {
            plugin,
            secrets: Secrets::new(spec.name.clone(), spec.secrets, spec.prompt),
            name: spec.name,
            via,
            observer: Arc::clone(&self.observer),
            runtime: self.runtime.clone(),
        };
        Guest::create(setup, Some(spec.config.to_string().into_bytes())).map(Way::Guest)
    }

    fn beneath(
        &self,
        spec: &InstanceSpec,
        plugin: &Plugin,
    ) -> Result<Option<Arc<Instance>>, LoadFailure> {
        let Some(via) = &spec.via else { return Ok(None) };
        if !plugin.dials_via_host() {
            return Err(LoadFailure::ViaUnsupported { kind: spec.kind.clone() });
        }
        let below =
            self.instances.get(via).ok_or_else(|| LoadFailure::UnknownVia { via: via.clone() })?;
        if below.speaks_postgres() {
            return Err(LoadFailure::ViaSpeaksPostgres { via: via.clone() });
        }
        Ok(Some(Arc::clone(below)))
    }
}

fn direct(spec: &InstanceSpec) -> Result<Way, LoadFailure> {
    built_in(spec)?;
    let own = spec.config.as_object().and_then(|config| config.keys().next());
    match own {
        Some(key) => Err(LoadFailure::DirectWithKey { key: key.clone() }),
        None => Ok(Way::Direct),
    }
}

/// What holds for every kind that is no plugin.
fn built_in(spec: &InstanceSpec) -> Result<(), LoadFailure> {
    let kind = || spec.kind.clone();
    if spec.path.is_some() || spec.sha256.is_some() {
        return Err(LoadFailure::BuiltInWithPath { kind: kind() });
    }
    match &spec.via {
        Some(_) => Err(LoadFailure::ViaUnsupported { kind: kind() }),
        None => Ok(()),
    }
}

async fn end(layers: Vec<Vec<Arc<Instance>>>) {
    for instance in layers.iter().flatten() {
        if let Some(guest) = instance.guest() {
            guest.drain();
        }
    }
    for layer in layers.into_iter().rev() {
        let mut ending = JoinSet::new();
        for instance in layer {
            ending.spawn(async move { instance.shutdown(Instant::now() + DESTROY_LIMIT).await });
        }
        ending.join_all().await;
    }
}

const DESTROY_LIMIT: Duration = Duration::from_secs(10);
