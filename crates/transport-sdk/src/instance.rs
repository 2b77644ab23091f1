//! One instance: its transport, its ops, its end.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::border::Border;
use crate::host::NO_OP;
use crate::op::{Op, Ops, Pending};
use crate::panics::{caught, caught_while_polled, injected};
use crate::runtime::Runtime;
use crate::stream::Feed;
use crate::{Context, Error, Host, Stream, Target, Transport, logging};

/// What `pgferry_instance` points at.
pub(crate) struct Instance<T> {
    transport: Arc<T>,
    host: Host,
    ops: Arc<Ops>,
    /// Ends opens and streams.
    stop: CancellationToken,
    tasks: TaskTracker,
    runtime: Runtime,
}

impl<T: Transport> Instance<T> {
    /// Errors: `CONFIG` with serde's words; whatever the transport's own `create` gives.
    pub(crate) fn create(border: Arc<Border>, op: u64, config: &[u8]) -> Result<Self, Error> {
        let runtime = Runtime::acquire()?;
        let host = Host::new(border, runtime.handle().clone());
        if !runtime.is_linked() {
            logging::forward(&host);
        }
        let _inside = runtime.handle().enter();
        let made = logging::during(&host, op, || {
            caught(|| {
                injected("create");
                T::create(parse(config)?, host.clone())
            })
        });
        let transport = made.inspect_err(|_| host.end_background())?;
        Ok(Self {
            transport: Arc::new(transport),
            host,
            ops: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            runtime,
        })
    }

    /// Effect: starts an open and returns; the op is answered by its task, or by its cancel.
    pub(crate) fn open(&self, id: u64, target: &[u8]) {
        if !self.runtime.is_linked() {
            logging::refresh_level(&self.host);
        }
        let op = self.ops.start(id, self.host.clone(), &self.stop);
        let pending = Pending::new(Arc::clone(&op), Arc::clone(&self.ops));
        let target = match Target::parse(target) {
            Ok(target) => target,
            Err(error) => return op.fail(&error),
        };
        let (transport, stop) = (Arc::clone(&self.transport), self.stop.clone());
        let task = Box::pin(async move {
            if let Some(feed) = opened(transport, &op, target, pending).await {
                feed.run(op.host().clone(), op.id(), &stop).await;
            }
        });
        let task = logging::on_behalf_of(self.host.clone(), id, task);
        self.tasks.spawn_on(task, self.runtime.handle());
    }

    pub(crate) fn cancel(&self, id: u64) {
        self.ops.cancel(id);
    }

    /// Effect: ends opens, streams, the transport and its background tasks, in this order; blocks
    /// until they ended, or 5 s. Nothing calls the host afterwards.
    pub(crate) fn destroy(self) {
        self.ops.cancel_all();
        self.stop.cancel();
        self.tasks.close();
        let (done, ended) = mpsc::channel();
        let (tasks, host, transport) = (self.tasks, self.host.clone(), self.transport);
        self.runtime.handle().spawn(logging::on_behalf_of(self.host.clone(), NO_OP, async move {
            tasks.wait().await;
            if let Err(error) = caught_while_polled(transport.shutdown()).await {
                tracing::error!("shutting down: {error}");
            }
            host.end_background();
            host.background_ended().await;
            let dropped = caught(|| {
                drop(transport);
                Ok(())
            });
            drop(dropped.inspect_err(|error| tracing::error!("dropping the transport: {error}")));
            // The receiver gave up: nothing is left to tell it.
            let _ = done.send(());
        }));
        if ended.recv_timeout(DESTROY_LIMIT).is_err() {
            logging::during(&self.host, NO_OP, || {
                tracing::warn!("tasks are still running {DESTROY_LIMIT:?} after the end");
            });
        }
        self.host.border().close();
    }
}

/// Opens and answers; what has to feed the stream afterwards. `pending` answers if this is dropped.
async fn opened<T: Transport>(
    transport: Arc<T>,
    op: &Op,
    target: Target,
    pending: Pending,
) -> Option<Feed> {
    let deadline = Instant::now() + target.deadline;
    let late = format!("not open after {} ms", target.deadline.as_millis());
    let context = Context::new(op.id(), deadline, op.host().clone());
    let work = caught_while_polled(async move {
        injected("open");
        transport.open(target, context).await
    });
    let outcome = tokio::select! {
        biased;
        () = op.cancelled() => Err(Error::cancelled()),
        outcome = timeout_at(deadline, work) => {
            outcome.map_or_else(|_| Err(Error::timeout(late)), Result::flatten)
        }
    };
    let answered = answer(op, outcome);
    drop(pending);
    answered
}

fn answer(op: &Op, outcome: Result<Stream, Error>) -> Option<Feed> {
    let prepared = match outcome.and_then(|stream| stream.prepare(op.host())) {
        Ok(prepared) => prepared,
        Err(error) => {
            op.fail(&error);
            return None;
        }
    };
    // Too late: the socket was closed, and the stream was nobody's.
    op.succeed(prepared.socket, &prepared.detail).then_some(prepared.feed)?
}

/// A sequence would do for serde where a struct is asked for; the contract says object.
fn parse<C: serde::de::DeserializeOwned>(config: &[u8]) -> Result<C, Error> {
    if !config.trim_ascii_start().starts_with(b"{") {
        return Err(Error::config("the configuration isn't a JSON object"));
    }
    serde_json::from_slice(config).map_err(|e| Error::config(e.to_string()))
}

/// What the contract gives `destroy`.
const DESTROY_LIMIT: Duration = Duration::from_secs(5);
