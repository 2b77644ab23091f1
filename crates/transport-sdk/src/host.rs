//! The host, as an instance may use it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pgferry_transport_abi as abi;
use pgferry_transport_abi::MetricKind;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::border::Border;
use crate::dial::{DialStream, Dialling};
use crate::metric::Metric;
use crate::panics::caught_while_polled;
use crate::{Error, Secret, logging};

/// The host, as one instance may use it. Cheap to clone and valid for as long as you like: after the
/// instance was destroyed its calls do nothing.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    border: Arc<Border>,
    runtime: Handle,
    background: TaskTracker,
    ending: CancellationToken,
}

/// The state of what an instance's streams share: a bastion, a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It works.
    Up,
    /// It works, but not well.
    Degraded,
    /// It is lost; opens fail until it is back.
    Down,
}

impl Host {
    /// Effect: opens a socket beneath this transport, outside an open: through the instance named by
    /// `via`, else by the host's own dialler. Inside an open use [`Context::dial`](crate::Context).
    ///
    /// Errors: the lower transport's or the host's, as they are; `TIMEOUT` after `limit`.
    ///
    /// Cancel safety: dropping it cancels the dial; a socket that comes too late is closed.
    pub async fn dial(&self, host: &str, port: u16, limit: Duration) -> Result<DialStream, Error> {
        self.dial_for(NO_OP, host, port, Instant::now() + limit).await
    }

    /// Effect: fetches a secret the configuration grants to this instance.
    ///
    /// Errors: `DENIED` for a name that isn't granted; the source's own otherwise; `TIMEOUT` after
    /// 30 s.
    ///
    /// Cancel safety: nothing is lost; the value is wiped.
    pub async fn secret(&self, name: &str) -> Result<Secret, Error> {
        self.secret_for(NO_OP, name, Instant::now() + SECRET_LIMIT).await
    }

    /// Effect: as [`Host::secret`]; but where the configuration does not grant `name`, the person at the
    /// program's terminal is asked for it. `words` say what it is: "passphrase of key file …".
    ///
    /// A person takes minutes, longer than any open: ask in a task of the instance's ([`Host::spawn`]),
    /// for all clients once, and keep the answer.
    ///
    /// Errors: as of [`Host::secret`]; `DENIED` also where there is no terminal, or no answer.
    ///
    /// Cancel safety: the question stays; its answer is wiped.
    pub async fn ask(&self, name: &str, words: &str) -> Result<Secret, Error> {
        let request = format!("{name}\n{words}");
        let answer = self.shared.border.secret(NO_OP, &request).ok_or_else(Error::cancelled)?;
        answer.await.unwrap_or_else(|_| Err(Error::cancelled()))
    }

    /// Effect: reports the state of what the streams share; operators see it as a gauge.
    pub fn state(&self, state: State, message: &str) {
        let state = match state {
            State::Up => abi::State::UP,
            State::Degraded => abi::State::DEGRADED,
            State::Down => abi::State::DOWN,
        };
        self.shared.border.state(state, message);
    }

    /// Effect: registers a counter, shown as `pgferry_plugin_<plugin>_<name>`. Its name ends in
    /// `_total`, and no other metric's does.
    pub fn counter(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Metric {
        self.metric(MetricKind::COUNTER, name, help, labels)
    }

    /// Effect: registers a gauge, shown as `pgferry_plugin_<plugin>_<name>`.
    pub fn gauge(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Metric {
        self.metric(MetricKind::GAUGE, name, help, labels)
    }

    /// Effect: registers a histogram, shown as `pgferry_plugin_<plugin>_<name>`.
    ///
    /// Units: seconds for times.
    pub fn histogram(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Metric {
        self.metric(MetricKind::HISTOGRAM, name, help, labels)
    }

    /// Effect: runs a task for the instance, such as the keeper of a shared session. It is dropped
    /// when the instance is destroyed, after [`Transport::shutdown`](crate::Transport::shutdown).
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ending = self.shared.ending.clone();
        let task = caught_while_polled(task);
        let supervised = logging::on_behalf_of(self.clone(), NO_OP, async move {
            tokio::select! {
                biased;
                () = ending.cancelled() => {}
                outcome = task => if let Err(error) = outcome {
                    tracing::error!("a background task panicked: {error}");
                },
            }
        });
        self.shared.background.spawn_on(supervised, &self.shared.runtime);
    }

    pub(crate) fn new(border: Arc<Border>, runtime: Handle) -> Self {
        let (background, ending) = (TaskTracker::new(), CancellationToken::new());
        Self { shared: Arc::new(Shared { border, runtime, background, ending }) }
    }

    pub(crate) fn border(&self) -> &Border {
        &self.shared.border
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) const fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Effect: tells the background tasks to end.
    pub(crate) fn end_background(&self) {
        self.shared.ending.cancel();
        self.shared.background.close();
    }

    /// Effect: waits until they did.
    ///
    /// Cancel safety: they are ending in any case.
    pub(crate) async fn background_ended(&self) {
        self.shared.background.wait().await;
    }

    pub(crate) async fn dial_for(
        &self,
        op: u64,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<DialStream, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        let deadline_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let request = json!({ "host": host, "port": port, "deadline_ms": deadline_ms });
        let dialling = Dialling::start(self.clone(), op, &request.to_string())?;
        let late = || Error::timeout(format!("{host}:{port} did not answer in time"));
        timeout_at(deadline, dialling.socket()).await.map_err(|_| late())?.and_then(DialStream::new)
    }

    pub(crate) async fn secret_for(
        &self,
        op: u64,
        name: &str,
        deadline: Instant,
    ) -> Result<Secret, Error> {
        let answer = self.shared.border.secret(op, name).ok_or_else(Error::cancelled)?;
        let late = || Error::timeout(format!("the secret {name} did not come in time"));
        let answered = timeout_at(deadline, answer).await.map_err(|_| late())?;
        answered.unwrap_or_else(|_| Err(Error::cancelled()))
    }

    fn metric(&self, kind: MetricKind, name: &str, help: &str, labels: &[(&str, &str)]) -> Metric {
        let labels: serde_json::Map<_, _> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let labels = serde_json::Value::Object(labels).to_string();
        Metric::new(self.shared.border.metric(kind, name, help, &labels), self.clone())
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

/// "On behalf of no op" in the contract.
pub(crate) const NO_OP: u64 = 0;

/// Limit for a secret that no open's deadline covers.
const SECRET_LIMIT: Duration = Duration::from_secs(30);
