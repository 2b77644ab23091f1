//! Secrets that lie nowhere, but are made or fetched when a plugin asks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::Status;
use crate::error::Failure;
use crate::guest::Guest;
use crate::secret::SecretReply;

/// Somebody who has secrets for an instance, by reserved names such as `aws:credentials`.
pub trait SecretService: Send + Sync {
    /// The answer to a request for `name`, or `None` for a name that is not its own. Asked anew for
    /// each request: what has an end is kept, and kept fresh, here.
    ///
    /// Cancel safety: the future is dropped when its asker's time is over.
    fn answer(&self, name: &str) -> Option<SecretAnswer>;

    /// Whose secrets they are: an instance lives on over a reload if this text stays the same.
    fn identity(&self) -> String;
}

/// A secret on its way.
pub type SecretAnswer =
    Pin<Box<dyn Future<Output = Result<Zeroizing<Vec<u8>>, SecretFailure>> + Send>>;

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFailure {
    /// Whose fault it is. A plugin may well answer its open with this.
    pub status: Status,
    /// Words for a person, without a secret.
    pub message: String,
}

impl Guest {
    /// Answers what a service has: within the time of the open that asks, and not after the instance
    /// was told to end.
    pub(crate) fn serve_secret(
        self: &Arc<Self>,
        op: u64,
        name: &str,
        answer: SecretAnswer,
        reply: SecretReply,
    ) {
        let now = Instant::now();
        let deadline = self.ops.deadline(op).map_or(now + LIMIT, |deadline| {
            // A little less than there is, as opens are told: its own words should arrive in time.
            now + crate::guest::told(deadline.saturating_duration_since(now))
        });
        let late = || format!("the secret \"{name}\" did not come in time");
        let (late, over) = (Failure::new(Status::Timeout, late()), self.secrets.over());
        let reply = reply.holding(self.busy.token());
        drop(self.runtime.spawn(async move {
            let outcome = tokio::select! {
                outcome = timeout_at(deadline, answer) => outcome,
                // Dropped, the reply says that it is shutting down.
                () = over.cancelled_owned() => return,
            };
            let failed = |failure: SecretFailure| Failure::new(failure.status, failure.message);
            reply.answer(&outcome.map_or(Err(late), |answer| answer.map_err(failed)));
        }));
    }
}

impl fmt::Display for SecretFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SecretFailure {}

/// The time for a secret that no open asks for, as the SDK for plugins waits for it.
const LIMIT: Duration = Duration::from_secs(30);
