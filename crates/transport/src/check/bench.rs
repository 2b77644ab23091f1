//! What the checks work with: a loaded plugin, a runtime of its own, and a record of its mistakes.

use std::future::Future;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{Flaw, Seen, creating, ending, ensure, fail, load, opening, process, skip, streams};
use crate::connection::{CloseReason, Connection};
use crate::guest::{Guest, Setup};
use crate::instance::{Instance, Way};
use crate::plugin::Plugin;
use crate::secret::Secrets;
use crate::{InstanceSpec, LoadFailure, Observer, OpenRequest, Purpose};

pub(super) struct Bench {
    pub(super) plugin: Arc<Plugin>,
    pub(super) config: Vec<u8>,
    pub(super) mistakes: Arc<Mistakes>,
    runtime: Runtime,
}

/// The plugin's violations over the whole run.
#[derive(Default)]
pub(super) struct Mistakes {
    violations: Mutex<Vec<String>>,
    abandoned: AtomicUsize,
}

impl Observer for Mistakes {
    fn violation(&self, _instance: &str, what: &str) {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
    }

    fn abandoned(&self, _instance: &str) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
    }
}

impl Mistakes {
    /// 9: nothing was answered twice, and nothing not at all.
    pub(super) fn none(&self) -> Seen {
        let violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
        ensure(violations.is_empty(), || violations.join("; "))?;
        let abandoned = self.abandoned.load(Ordering::Relaxed);
        ensure(abandoned == 0, || format!("{abandoned} cancelled opens were not answered"))?;
        Ok("every op of the whole run was answered once".to_owned())
    }
}

/// An instance of the plugin, and a word for the checks to open through it.
pub(super) struct Subject {
    pub(super) instance: Instance,
    pub(super) guest: Arc<Guest>,
}

impl Bench {
    pub(super) fn new(plugin: Arc<Plugin>, config: &Value) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            // Idle threads of the host must not be taken for the plugin's.
            .thread_keep_alive(Duration::from_millis(100))
            .enable_all()
            .build()?;
        let config = config.to_string().into_bytes();
        Ok(Self { plugin, config, mistakes: Arc::default(), runtime })
    }

    pub(super) fn perform(self: &Arc<Self>, number: u8) -> Seen {
        const ON_BYTES: [u8; 8] = [7, 8, 10, 11, 12, 14, 15, 16];
        if self.plugin.speaks_postgres() && ON_BYTES.contains(&number) {
            return Err(skip("it speaks PostgreSQL itself and carries no other bytes"));
        }
        match number {
            5 => self.limited(creating::bad_configurations),
            6 => self.limited(creating::good_configuration),
            7 => self.limited(opening::unreachable),
            8 => self.limited(opening::echo),
            9 => self.mistakes.none(),
            10 => self.limited(opening::cancel),
            11 => self.limited(streams::half_close),
            12 => self.limited(streams::reset),
            14 => self.limited(streams::closed_early),
            15 => self.limited(load::many_opens),
            16 => self.limited(creating::two_instances),
            18 => self.limited(ending::destroy),
            19 => self.limited(ending::create_and_destroy),
            _ => Err(skip("there is no such check")),
        }
    }

    /// Runs a check on a thread of its own, so that a hanging plugin fails it instead of stopping it.
    pub(super) fn limited<F: Future<Output = Seen>>(
        self: &Arc<Self>,
        check: impl FnOnce(Arc<Self>) -> F + Send + 'static,
    ) -> Seen {
        let bench = Arc::clone(self);
        let (done, outcome) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("pgferry-check".to_owned())
            .spawn(move || {
                let seen = bench.runtime.block_on(check(Arc::clone(&bench)));
                // Nobody listens any more when it took too long.
                drop(done.send(seen));
            })
            .map_err(fail)?;
        outcome.recv_timeout(CHECK_LIMIT).unwrap_or_else(|_| {
            Err(fail(format!("it did not come to an end within {CHECK_LIMIT:?}")))
        })
    }

    /// Has the plugin make an instance out of any configuration.
    pub(super) fn create(&self, config: Option<Vec<u8>>) -> Result<Subject, LoadFailure> {
        let observer: Arc<dyn Observer> = Arc::<Mistakes>::clone(&self.mistakes);
        let setup = Setup {
            name: "check".to_owned(),
            plugin: Arc::clone(&self.plugin),
            secrets: Secrets::new(&InstanceSpec::new("check", "check")),
            via: None,
            observer: Arc::clone(&observer),
            runtime: self.runtime.handle().clone(),
        };
        let guest = Guest::create(setup, config)?;
        let way = Way::Guest(Arc::clone(&guest));
        let spec = InstanceSpec { max_concurrent_opens: 64, ..InstanceSpec::new("check", "check") };
        let instance = Instance::new(&spec, way, observer, TaskTracker::new());
        Ok(Subject { instance, guest })
    }

    /// An instance with the configuration of the run.
    pub(super) fn subject(&self) -> Result<Subject, Flaw> {
        self.create(Some(self.config.clone())).map_err(|failure| skip(failure.to_string()))
    }
}

/// An open stream to one of the checks' servers.
pub(super) struct Stream {
    pub(super) bytes: UnixStream,
    /// Whether it is one end of a pair, with the plugin at the other end.
    pub(super) is_pumped: bool,
    pub(super) closed: CloseReason,
}

impl Stream {
    pub(super) fn new(connection: Connection) -> std::io::Result<Self> {
        // Reads, writes and shutdowns are the same for TCP; nothing else is done with it.
        let family = rustix::net::getsockname(&connection.socket)?.address_family();
        let is_pumped = family == rustix::net::AddressFamily::UNIX;
        let bytes = UnixStream::from_std(StdStream::from(connection.socket))?;
        Ok(Self { bytes, is_pumped, closed: connection.closed })
    }
}

impl Subject {
    pub(super) async fn open(&self, port: u16) -> Result<Stream, Flaw> {
        let connection = self.instance.open(request("127.0.0.1", port)).await;
        Stream::new(connection.map_err(fail)?).map_err(fail)
    }

    /// Waits until the plugin has answered everything and every call has come back.
    pub(super) async fn quiet_within(&self, limit: Duration) -> Result<(), Flaw> {
        let quiet = process::eventually(limit, || self.guest.busy.is_empty()).await;
        ensure(quiet, || format!("an open was not answered within {limit:?}"))
    }

    pub(super) async fn destroy(self) -> Result<(), Flaw> {
        let ended = self.guest.shutdown(Instant::now() + DESTROY_LIMIT).await;
        ensure(ended, || format!("destroy did not come to an end within {DESTROY_LIMIT:?}"))
    }
}

pub(super) fn request(host: &str, port: u16) -> OpenRequest {
    OpenRequest {
        host: host.to_owned(),
        port,
        database: Some("postgres".to_owned()),
        user: Some("postgres".to_owned()),
        cluster: None,
        purpose: Purpose::Session,
        limit: OPEN_LIMIT,
        tcp_limit: OPEN_LIMIT,
        idle_tunnel: Duration::from_mins(1),
        client_label: None,
    }
}

pub(super) const OPEN_LIMIT: Duration = Duration::from_secs(10);
pub(super) const DESTROY_LIMIT: Duration = Duration::from_secs(5);
const CHECK_LIMIT: Duration = Duration::from_mins(1);
