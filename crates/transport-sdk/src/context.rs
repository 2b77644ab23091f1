//! What an open may use.

use std::time::Duration;

use tokio::time::Instant;

use crate::{DialStream, Error, Host, Secret};

/// One open's view of the host: the same services, bound to the op and its deadline.
#[derive(Debug)]
pub struct Context {
    op: u64,
    deadline: Instant,
    host: Host,
}

impl Context {
    pub(crate) const fn new(op: u64, deadline: Instant, host: Host) -> Self {
        Self { op, deadline, host }
    }

    /// Effect: opens a socket beneath this transport: through the instance named by `via`, else by
    /// the host's own dialler.
    ///
    /// Errors: the lower transport's or the host's, as they are.
    ///
    /// Cancel safety: dropping it cancels the dial; a socket that comes too late is closed.
    pub async fn dial(&self, host: &str, port: u16) -> Result<DialStream, Error> {
        self.host.dial_for(self.op, host, port, self.deadline).await
    }

    /// Effect: fetches a secret the configuration grants to this instance.
    ///
    /// Errors: `DENIED` for a name that isn't granted; the source's own otherwise.
    ///
    /// Cancel safety: nothing is lost; the value is wiped.
    pub async fn secret(&self, name: &str) -> Result<Secret, Error> {
        self.host.secret_for(self.op, name, self.deadline).await
    }

    /// When the open has to be answered. The SDK gives up then.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A little before the deadline: when to give up by oneself, with more to say than the SDK has.
    pub fn answer_by(&self) -> Instant {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.deadline - (left / 10).min(MARGIN)
    }

    /// The instance's host, which may be kept.
    pub const fn host(&self) -> &Host {
        &self.host
    }
}

/// Enough for words to arrive.
const MARGIN: Duration = Duration::from_millis(250);
