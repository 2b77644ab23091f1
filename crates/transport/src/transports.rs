//! All configured transports, from start to shutdown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::exec::{self, Exec};
use crate::guest::{Guest, Setup};
use crate::heard::Heard;
use crate::instance::{DIRECT_KIND, Way};
use crate::layers::layers;
use crate::loader::Loader;
use crate::plugin::Plugin;
use crate::secret::Secrets;
use crate::{Entry, Instance, InstanceSpec, LoadError, LoadFailure, Observer, SearchPath};

/// All configured transports: one generation of them, from the start or a reload to the next. Cheap
/// to clone.
///
/// An instance is shared by the generations whose configuration agrees on it. One that nobody holds
/// any more, no generation, no [`Arc`] and no instance on top of it, is destroyed in the background.
#[derive(Clone)]
pub struct Transports(Arc<Generation>);

struct Generation {
    made: BTreeMap<String, Made>,
    /// The order to end them in: what lies on top first.
    layers: Vec<Vec<Arc<Instance>>>,
    workshop: Arc<Workshop>,
}

/// An instance, and what the next generation compares and silences.
#[derive(Clone)]
struct Made {
    spec: InstanceSpec,
    instance: Arc<Instance>,
    heard: Arc<Heard>,
}

/// What all generations make their instances with.
struct Workshop {
    loader: Mutex<Loader>,
    observer: Arc<dyn Observer>,
    runtime: Handle,
    /// The ends of instances that nobody holds any more.
    endings: TaskTracker,
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
        let loader = Mutex::new(Loader::new(linked, search));
        let workshop = Workshop { loader, observer, runtime, endings: TaskTracker::new() };
        let first = Self::make(specs, &BTreeMap::new(), Arc::new(workshop))?;
        first.speak();
        Ok(first)
    }

    /// The generation after this one. Instances whose configuration is the same, and that of all
    /// beneath them, are kept with their tunnels, unless they are disabled; the others are made as
    /// at the start. Until [`Self::replaced_by`] nothing of this generation changes, and the
    /// observer hears nothing of the tunnels of the new one.
    ///
    /// Blocks, and fails, as [`Self::start`] does.
    pub fn succeed(&self, specs: Vec<InstanceSpec>) -> Result<Self, LoadError> {
        Self::make(specs, &self.0.made, Arc::clone(&self.0.workshop))
    }

    /// Hands over: from now on, instances that are not in `next` say nothing about their tunnels any
    /// more. They serve whoever holds them. Those of `next` speak from [`Self::speak`] on.
    pub fn replaced_by(&self, next: &Self) {
        for (name, made) in &self.0.made {
            let kept = next.0.made.get(name).is_some_and(|next| made.is(&next.instance));
            if !kept {
                made.heard.replace();
            }
        }
    }

    /// Tells the observer what the instances have said so far, and lets them speak from now on.
    pub fn speak(&self) {
        self.0.made.values().for_each(|made| made.heard.speak());
    }

    fn make(
        specs: Vec<InstanceSpec>,
        before: &BTreeMap<String, Made>,
        workshop: Arc<Workshop>,
    ) -> Result<Self, LoadError> {
        let mut made = BTreeMap::new();
        let mut order = Vec::new();
        for layer in layers(specs)? {
            let mut instances = Vec::new();
            for spec in layer {
                let name = spec.name.clone();
                let one = match kept(&spec, before, &made) {
                    Some(kept) => kept.clone(),
                    None => workshop.make(spec, &made).map_err(|failure| failure.of(&name))?,
                };
                instances.push(Arc::clone(&one.instance));
                made.insert(name, one);
            }
            order.push(instances);
        }
        Ok(Self(Arc::new(Generation { made, layers: order, workshop })))
    }

    /// The instance of that name.
    pub fn instance(&self, name: &str) -> Option<Arc<Instance>> {
        self.0.made.get(name).map(|made| Arc::clone(&made.instance))
    }

    /// Every instance, by name.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.0.made.values().map(|made| &made.instance)
    }

    /// Asks nobody for a secret from now on, and takes back what is being asked.
    pub fn stop_asking(&self) {
        for guest in self.instances().filter_map(|instance| instance.guest()) {
            guest.secrets.stop_asking();
        }
    }

    /// Cancels every open, then destroys the instances, those on top of others first, and waits for
    /// the ends of earlier generations' instances that nobody holds any more. Each has 10 s; one
    /// that does not end in that time is leaked, and logged. Streams should be closed before: a
    /// plugin may wait for its own.
    ///
    /// Cancel safety: a dropped future leaves the instances that are not destroyed yet running.
    pub async fn shutdown(self) {
        let endings = &self.0.workshop.endings;
        endings.close();
        let earlier = timeout_at(Instant::now() + DESTROY_LIMIT, endings.wait());
        // An end that took too long has logged so itself.
        let (_, ()) = tokio::join!(earlier, end(self.0.layers.clone()));
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.made.keys()).finish()
    }
}

impl Made {
    fn is(&self, instance: &Arc<Instance>) -> bool {
        Arc::ptr_eq(&self.instance, instance)
    }
}

/// The instance before, if it is what `spec` describes and lies on the same instance as it did. `made`
/// is what lies beneath.
fn kept<'a>(
    spec: &InstanceSpec,
    before: &'a BTreeMap<String, Made>,
    made: &BTreeMap<String, Made>,
) -> Option<&'a Made> {
    let old = before.get(&spec.name)?;
    let beneath = match &spec.via {
        None => true,
        Some(via) => before.get(via)?.is(&made.get(via)?.instance),
    };
    (old.spec.agrees(spec) && beneath && !old.instance.is_disabled()).then_some(old)
}

impl Workshop {
    fn make(&self, spec: InstanceSpec, made: &BTreeMap<String, Made>) -> Result<Made, LoadFailure> {
        let heard = Arc::new(Heard::new(Arc::clone(&self.observer)));
        let observer: Arc<dyn Observer> = Arc::<Heard>::clone(&heard);
        let way = match spec.kind.as_str() {
            DIRECT_KIND => direct(&spec)?,
            exec::KIND => self.exec(&spec)?,
            _ => self.guest(&spec, made, Arc::clone(&observer))?,
        };
        let instance = Instance::new(&spec, way, observer, self.endings.clone());
        Ok(Made { instance: Arc::new(instance), spec, heard })
    }

    fn exec(&self, spec: &InstanceSpec) -> Result<Way, LoadFailure> {
        built_in(spec)?;
        Exec::create(spec, self.runtime.clone()).map(Way::Exec)
    }

    fn guest(
        &self,
        spec: &InstanceSpec,
        made: &BTreeMap<String, Made>,
        observer: Arc<dyn Observer>,
    ) -> Result<Way, LoadFailure> {
        let plugin = self.loader.lock().unwrap_or_else(PoisonError::into_inner).plugin(spec)?;
        let via = beneath(spec, &plugin, made)?;
        let setup = Setup {
            name: spec.name.clone(),
            plugin,
            secrets: Secrets::new(spec),
            via,
            observer,
            runtime: self.runtime.clone(),
        };
        Guest::create(setup, Some(spec.config.to_string().into_bytes())).map(Way::Guest)
    }
}

fn beneath(
    spec: &InstanceSpec,
    plugin: &Plugin,
    made: &BTreeMap<String, Made>,
) -> Result<Option<Arc<Instance>>, LoadFailure> {
    let Some(via) = &spec.via else { return Ok(None) };
    if !plugin.dials_via_host() {
        return Err(LoadFailure::ViaUnsupported { kind: spec.kind.clone() });
    }
    let below = made.get(via).ok_or_else(|| LoadFailure::UnknownVia { via: via.clone() })?;
    if below.instance.speaks_postgres() {
        return Err(LoadFailure::ViaSpeaksPostgres { via: via.clone() });
    }
    Ok(Some(Arc::clone(&below.instance)))
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

/// How long an instance gets to end.
pub(crate) const DESTROY_LIMIT: Duration = Duration::from_secs(10);
