//! A plugin's instance as the host holds it: what is under way, and whether it may be trusted.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::canceller::Canceller;
use crate::dial::Dialler;
use crate::error::{Failure, LoadFailure, OpenError};
use crate::metrics::Metrics;
use crate::ops::{Answer, Cancel, Ops, Terms};
use crate::plugin::{Handle, Plugin};
use crate::secret::Secrets;
use crate::standing::{Phase, Standing};
use crate::tcp::Limits;
use crate::watchdog::Watchdog;
use crate::{Instance, Observer, OpenRequest, Purpose, Status, TunnelState, host};

/// A plugin's instance.
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) runtime: runtime::Handle,
    pub(crate) ops: Arc<Ops>,
    pub(crate) dialler: Dialler,
    pub(crate) secrets: Secrets,
    pub(crate) metrics: Metrics,
    /// Everything that has to end before the plugin's instance may be destroyed.
    pub(crate) busy: TaskTracker,
    standing: Mutex<Standing>,
    live: OnceLock<Live>,
    /// Whether the plugin's instance could be destroyed, once that was tried.
    ended: OnceCell<bool>,
}

/// What there is once `create` succeeded.
struct Live {
    handle: Handle,
    canceller: Canceller,
}

/// What a guest is made of.
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) secrets: Secrets,
    pub(crate) via: Option<Arc<Instance>>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) runtime: runtime::Handle,
}

impl Guest {
    /// Has the plugin make its instance. Blocks until it has, or until its time is over.
    pub(crate) fn create(setup: Setup, config: Option<Vec<u8>>) -> Result<Arc<Self>, LoadFailure> {
        let guest = Arc::new(Self {
            secrets: setup.secrets,
            name: setup.name,
            plugin: setup.plugin,
            observer: setup.observer,
            runtime: setup.runtime,
            ops: Arc::default(),
            dialler: Dialler::new(setup.via),
            metrics: Metrics::default(),
            busy: TaskTracker::new(),
            standing: Mutex::default(),
            live: OnceLock::new(),
            ended: OnceCell::new(),
        });
        let handle = guest.call_create(config)?;
        let canceller =
            Canceller::start(&guest.name, Arc::clone(&guest.plugin), handle, guest.runtime.clone())
                .map_err(LoadFailure::Thread)?;
        // Set here alone, on a guest that nobody else has yet.
        drop(guest.live.set(Live { handle, canceller }));
        Ok(guest)
    }

    fn call_create(self: &Arc<Self>, config: Option<Vec<u8>>) -> Result<Handle, LoadFailure> {
        let table = host::table(self);
        let op = self.ops.begin_create();
        let _watchdog = Watchdog::start(&self.runtime, &self.name, "create", SLOW_CREATE);
        let (done, created) = sync_channel(1);
        let plugin = Arc::clone(&self.plugin);
        drop(self.runtime.spawn_blocking(move || {
            // Nobody listens any more when it took too long: the instance is then leaked.
            let _ = done.send(plugin.create(table, op, config.as_deref()));
        }));
        let outcome = created.recv_timeout(CREATE_LIMIT);
        let said = self.ops.end_create(op);
        let refusal =
            |status, message| LoadFailure::Create { plugin: self.label(), status, message };
        match outcome {
            Ok(Ok(handle)) => Ok(handle),
            Ok(Err(status)) => {
                // Whoever starts this program has one line to learn from.
                let words = said.map(|said| match said.hint {
                    Some(hint) => format!("{}; {hint}", said.message),
                    None => said.message,
                });
                Err(refusal(status, words.unwrap_or_else(|| WORDLESS.to_owned())))
            }
            Err(RecvTimeoutError::Timeout) => {
                Err(LoadFailure::CreateTimeout { plugin: self.label(), limit: CREATE_LIMIT })
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(refusal(Status::Internal, "the runtime for transports has ended".to_owned()))
            }
        }
    }

    /// Cancel safety: dropping the future cancels the open; a socket that comes late is closed.
    pub(crate) async fn open(
        self: &Arc<Self>,
        request: &OpenRequest,
        deadline: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Answer {
        let (open, waiting) = self.start_open(request, deadline, permit)?;
        let answer = match timeout_at(deadline, waiting).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_withdrawn)) => {
                Err(self.error(Failure::new(Status::Cancelled, "shutting down")))
            }
            Err(_elapsed) => {
                // What is left of a configured limit, as that was written: 1 s and not 999.999108 ms.
                let limit = request.limit.as_micros().div_ceil(1000);
                let limit = Duration::from_millis(u64::try_from(limit).unwrap_or(u64::MAX));
                let late = format!("no answer within {limit:?}");
                Err(self.error(Failure::new(Status::Timeout, late)))
            }
        };
        drop(open);
        match answer {
            Ok(connection) => Ok(connection),
            Err(error) => {
                self.judge(&error, request.purpose);
                Err(self.explained(error).await)
            }
        }
    }

    /// Adds what broke beneath to an error that it may have caused.
    async fn explained(&self, error: OpenError) -> OpenError {
        let by_a_broken_path =
            matches!(error.status, Status::Unreachable | Status::Protocol | Status::Internal);
        match self.dialler.losses().filter(|_| by_a_broken_path) {
            Some(losses) => {
                OpenError { message: losses.explain(error.message, BENEATH_LIMIT).await, ..error }
            }
            None => error,
        }
    }

    /// Queues the plugin's `open`. It may block, so it gets a thread that may.
    fn start_open(
        self: &Arc<Self>,
        request: &OpenRequest,
        deadline: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Result<(UnderWay, tokio::sync::oneshot::Receiver<Answer>), OpenError> {
        let permit = Arc::new(permit);
        let terms = Terms {
            limits: Limits { deadline, tcp: request.tcp_limit },
            idle_tunnel: request.idle_tunnel,
        };
        // Under the lock: once it drains, everything that counts as busy has been counted.
        let mut standing = self.standing();
        standing.admit(Instant::now()).map_err(|failure| self.error(failure))?;
        let hold = Box::new((self.busy.token(), Arc::clone(&permit)));
        let (op, waiting) = self.ops.begin(terms, hold);
        let token = self.busy.token();
        drop(standing);
        let remaining = deadline.saturating_duration_since(Instant::now());
        let target = request.target_json(told(remaining));
        let guest = Arc::clone(self);
        drop(self.runtime.spawn_blocking(move || {
            if let Some(live) = guest.live.get().filter(|_| guest.ops.start(op)) {
                guest.plugin.open(live.handle, op, &target);
            }
            // Kept for as long as the call blocks, whatever became of the op.
            drop((token, permit));
        }));
        Ok((UnderWay { guest: Arc::clone(self), op }, waiting))
    }

    /// Nobody waits for an op any more.
    fn cancel(self: &Arc<Self>, op: u64) {
        if self.ops.cancel(op) == Cancel::Nothing {
            return;
        }
        self.dialler.cancel_for(op);
        self.ask_cancel(op);
        let guest = Arc::clone(self);
        drop(self.runtime.spawn(async move {
            // The first request may have overtaken the open it was for.
            tokio::time::sleep(CANCEL_AGAIN).await;
            if guest.ops.is_cancelling(op) {
                guest.ask_cancel(op);
            }
            tokio::time::sleep(ABANDON.saturating_sub(CANCEL_AGAIN)).await;
            if guest.ops.abandon(op) {
                tracing::warn!(instance = guest.name, op, "a cancelled open was not answered");
                guest.observer.abandoned(&guest.name);
            }
        }));
    }

    /// What a failed open says about the instance.
    fn judge(self: &Arc<Self>, error: &OpenError, purpose: Purpose) {
        match error.status {
            Status::Panic if error.retry_after.is_none() => self.panicked(),
            // A transport without cancellation can still carry sessions.
            Status::Config | Status::Unsupported if purpose != Purpose::Cancel => {
                let own = error.message.strip_prefix(&self.prefix()).unwrap_or(&error.message);
                let failure = Failure {
                    hint: error.hint.clone(),
                    ..Failure::new(error.status, own.to_owned())
                };
                self.standing().disable(failure);
            }
            _ => {}
        }
    }

    pub(crate) fn panicked(self: &Arc<Self>) {
        tracing::error!(instance = self.name, plugin = self.label(), "a plugin panicked");
        let Some(held) = self.standing().panicked(Instant::now()) else { return };
        self.observer.state(&self.name, TunnelState::Down, "held down after panics");
        let guest = Arc::clone(self);
        drop(self.runtime.spawn(async move {
            tokio::time::sleep(held).await;
            guest.observer.state(&guest.name, TunnelState::Up, "tried again after panics");
        }));
    }

    /// The plugin confuses ops or sockets: the next mistake could hit another client.
    pub(crate) fn violated(&self, what: &str) {
        self.standing().disable(Failure {
            hint: Some("restart pgferry, and report this to the plugin's author".to_owned()),
            ..Failure::new(
                Status::Internal,
                format!("disabled, because the plugin is broken: {what}"),
            )
        });
        self.misbehaved(what);
    }

    /// The plugin broke the contract in a way that harms only itself.
    pub(crate) fn misbehaved(&self, what: &str) {
        tracing::error!(
            instance = self.name,
            plugin = self.label(),
            what,
            "a plugin broke the contract"
        );
        self.observer.violation(&self.name, what);
    }

    /// Cancels what is under way, waits for it, destroys the plugin's instance. Gives whether it
    /// could: an instance that does not end in time is leaked. Whoever comes second waits for what the
    /// first one does: the plugin's `destroy` frees, and is called once.
    pub(crate) async fn shutdown(self: &Arc<Self>, deadline: Instant) -> bool {
        *self.ended.get_or_init(|| self.end(deadline)).await
    }

    async fn end(self: &Arc<Self>, deadline: Instant) -> bool {
        self.drain();
        self.busy.close();
        let Some(live) = self.live.get() else { return true };
        let quiet = async {
            self.busy.wait().await;
            live.canceller.stop().await;
        };
        if timeout_at(deadline, quiet).await.is_err() {
            self.leaked("something is still under way in it");
            return false;
        }
        let (plugin, handle) = (Arc::clone(&self.plugin), live.handle);
        let destroyed = self.runtime.spawn_blocking(move || plugin.destroy(handle));
        let destroyed = matches!(timeout_at(deadline, destroyed).await, Ok(Ok(())));
        if destroyed {
            self.standing().advance(Phase::Gone);
        } else {
            self.leaked("destroy did not return");
        }
        destroyed
    }

    /// Takes nothing new and cancels what is under way.
    pub(crate) fn drain(self: &Arc<Self>) {
        if !self.standing().advance(Phase::Draining) {
            return;
        }
        self.secrets.end();
        for op in self.ops.waiting() {
            self.cancel(op);
        }
        self.dialler.cancel_all();
    }

    /// Tells the plugin to give up an op, whatever the host knows of it.
    pub(crate) fn ask_cancel(&self, op: u64) {
        if let Some(live) = self.live.get() {
            live.canceller.ask(op);
        }
    }

    fn leaked(&self, why: &str) {
        self.standing().advance(Phase::Gone);
        tracing::error!(instance = self.name, plugin = self.label(), why, "a plugin was given up");
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.standing().is_disabled()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.standing().phase()
    }

    pub(crate) fn error(&self, failure: Failure) -> OpenError {
        failure.prefixed(&self.prefix())
    }

    pub(crate) fn prefix(&self) -> String {
        format!("transport {} ({}): ", self.name, self.label())
    }

    /// The prefix for what happens to a stream, which every layer carries.
    pub(crate) fn layers(&self) -> String {
        let mut layers = format!("transport {} ({})", self.name, self.label());
        let mut next = self.dialler.via();
        while let Some(via) = next {
            let plugin = via.plugin();
            let (name, version) = (&plugin.name, &plugin.version);
            layers = format!("{layers} via {} ({name} {version})", via.name());
            next = via.guest().and_then(|guest| guest.dialler.via());
        }
        layers + ": "
    }

    fn label(&self) -> String {
        format!("{} {}", self.plugin.info.name, self.plugin.info.version)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An op that somebody waits for: dropped, it is cancelled unless answered.
struct UnderWay {
    guest: Arc<Guest>,
    op: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.guest.cancel(self.op);
    }
}

/// The time a plugin is given: a little less than there is, so that its own account of a timeout
/// arrives before the host stops listening.
pub(crate) fn told(remaining: Duration) -> Duration {
    remaining.saturating_sub((remaining / 10).min(Duration::from_millis(100)))
}

/// Stands where a plugin should have said why it refuses.
pub(crate) const WORDLESS: &str = "it does not say why";
const CREATE_LIMIT: Duration = Duration::from_secs(10);
const SLOW_CREATE: Duration = Duration::from_secs(1);
/// How long an error waits for news from beneath.
const BENEATH_LIMIT: Duration = Duration::from_millis(100);
const CANCEL_AGAIN: Duration = Duration::from_millis(200);
const ABANDON: Duration = Duration::from_secs(5);
