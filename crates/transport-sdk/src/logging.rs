//! `tracing` and `log` of a loaded plugin, forwarded to the host.
//!
//! A cdylib has its own copies of their globals: without this its logs would be lost silently.

use std::fmt;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError, Weak};

use pgferry_transport_abi::LogLevel;
use serde_json::{Map, Value, json};
use tokio::task::futures::TaskLocalFuture;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent;

use crate::host::{NO_OP, Shared};
use crate::{Host, panics};

/// Effect: what `task` logs carries this instance and op.
pub(crate) fn on_behalf_of<F: Future>(host: Host, op: u64, task: F) -> TaskLocalFuture<Work, F> {
    WORK.scope(Work { host, op }, task)
}

/// Effect: as [`on_behalf_of`], for an entry.
pub(crate) fn during<R>(host: &Host, op: u64, f: impl FnOnce() -> R) -> R {
    WORK.sync_scope(Work { host: host.clone(), op }, f)
}

/// Whether this thread is doing the plugin's work right now.
pub(crate) fn at_work() -> bool {
    WORK.try_with(|_| ()).is_ok()
}

/// Effect: for a loaded library: forwards its logs and panics, from now on also for this instance.
pub(crate) fn forward(host: &Host) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Either may already be there in a program that links the SDK without saying so: keep that.
        drop(tracing::subscriber::set_global_default(Forwarder { spans: AtomicU64::new(1) }));
        drop(tracing_log::LogTracer::init());
    });
    panics::install_hook();
    let mut instances = INSTANCES.lock().unwrap_or_else(PoisonError::into_inner);
    instances.retain(|instance| instance.strong_count() > 0);
    instances.push(std::sync::Arc::downgrade(host.shared()));
    drop(instances);
    refresh_level(host);
}

/// Effect: asks the host what it keeps. Done once per open, so that a line that isn't kept costs no
/// call across the border.
pub(crate) fn refresh_level(host: &Host) {
    LEVEL.store(host.border().log_level().0, Ordering::Relaxed);
}

/// On whose behalf a task or an entry runs.
#[derive(Clone)]
pub(crate) struct Work {
    host: Host,
    op: u64,
}

impl Work {
    /// The work of this task; else that of the first instance that is alive, because libraries spawn
    /// tasks that know nothing of ours.
    fn current() -> Option<Self> {
        if let Ok(work) = WORK.try_with(Self::clone) {
            return Some(work);
        }
        let instances = INSTANCES.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = instances.iter().find_map(Weak::upgrade)?;
        Some(Self { host: Host::from_shared(shared), op: NO_OP })
    }
}

tokio::task_local! {
    static WORK: Work;
}

static INSTANCES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
static LEVEL: AtomicI32 = AtomicI32::new(LogLevel::OFF.0);

/// Forwards events; spans only get numbers.
struct Forwarder {
    spans: AtomicU64,
}

impl Subscriber for Forwarder {
    /// The host's level may change, so no call site is ever settled.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = level_of(*metadata.level()).0;
        metadata.is_event()
            && level <= LEVEL.load(Ordering::Relaxed)
            && (level <= LogLevel::DEBUG.0 || !shows_secrets(metadata.target()))
    }

    fn event(&self, event: &Event<'_>) {
        let Some(work) = Work::current() else { return };
        let mut line = Line::default();
        event.record(&mut line);
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        line.fields.insert("target".to_owned(), json!(metadata.target()));
        let fields = Value::Object(line.fields).to_string();
        work.host.border().log(level_of(*metadata.level()), work.op, &line.message, &fields);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Whether what is logged under this name at `TRACE` has secrets in it.
fn shows_secrets(target: &str) -> bool {
    WITH_SECRETS_AT_TRACE.iter().any(|start| target.starts_with(start))
}

/// The AWS SDK (`aws_smithy_runtime`, `aws_sigv4`, …) logs whole requests and their results there: keys,
/// session tokens. tungstenite logs the request of a WebSocket, with its signature and session token, and every frame.
/// The host sees only its own target for the lines of plugins, and so cannot tell these apart.
const WITH_SECRETS_AT_TRACE: [&str; 2] = ["aws", "tungstenite"];

const fn level_of(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::ERROR,
        Level::WARN => LogLevel::WARN,
        Level::INFO => LogLevel::INFO,
        Level::DEBUG => LogLevel::DEBUG,
        Level::TRACE => LogLevel::TRACE,
    }
}

/// An event's text and its other fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: Map<String, Value>,
}

impl Line {
    fn put(&mut self, field: &Field, value: Value) {
        // The bridge from `log` adds its own bookkeeping under these names.
        if !field.name().starts_with("log.") {
            self.fields.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, json!(value));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }
}
