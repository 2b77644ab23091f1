//! Where the plugin's tasks run: the host's runtime when linked in, an own one when loaded.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use crate::Error;

/// Effect: makes the plugins that are linked into this binary run on `handle`, with the binary's own
/// `tracing` subscriber and panic hook. The first call counts; call it before the first create.
///
/// A loaded plugin has its own copy of the SDK, which this doesn't touch: there an own runtime is
/// started with the first instance and ended with the last.
pub fn link(handle: Handle) {
    // A second handle is ignored on purpose: instances may be running on the first.
    LINKED.get_or_init(|| handle);
}

/// The runtime of one instance; an own one lives as long as any instance holds it.
pub(crate) enum Runtime {
    Linked(Handle),
    Own(Arc<Own>),
}

impl Runtime {
    /// Errors: `INTERNAL` when no thread can be started.
    pub(crate) fn acquire() -> Result<Self, Error> {
        if let Some(handle) = LINKED.get() {
            return Ok(Self::Linked(handle.clone()));
        }
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = shared.upgrade() {
            return Ok(Self::Own(own));
        }
        let own = Arc::new(Own::start()?);
        *shared = Arc::downgrade(&own);
        Ok(Self::Own(own))
    }

    pub(crate) fn handle(&self) -> &Handle {
        match self {
            Self::Linked(handle) => handle,
            Self::Own(own) => &own.handle,
        }
    }

    pub(crate) const fn is_linked(&self) -> bool {
        matches!(self, Self::Linked(_))
    }
}

/// The runtime of a loaded library.
pub(crate) struct Own {
    handle: Handle,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Own {
    fn start() -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("pgferry-plugin")
            .enable_all()
            .build()
            .map_err(|e| Error::internal(format!("cannot start a runtime: {e}")))?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Own {
    /// Not `Runtime`'s own drop: that waits without a limit for blocking work such as name look-ups.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(LAST_WORK);
        }
    }
}

static LINKED: OnceLock<Handle> = OnceLock::new();
static SHARED: Mutex<Weak<Own>> = Mutex::new(Weak::new());

/// How long blocking work may hold up the end of the last instance.
const LAST_WORK: Duration = Duration::from_millis(500);
