//! Credentials that several users share: resolved once, kept until shortly before their end.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_async::time::SharedTimeSource;

use crate::error::AwsError;

/// Renewed so long before their end: a signature made with them has to be accepted too.
const AHEAD: Duration = Duration::from_mins(2);
/// Keys without an end are read again after so long: somebody may have replaced them.
const ENDLESS: Duration = Duration::from_mins(15);
/// Credentials that still hold are not renewed more often, whatever the source answers.
const PAUSE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Cache {
    held: Mutex<Option<Held>>,
    /// Whoever resolves has it; the others wait for what it brings.
    turn: tokio::sync::Mutex<Option<Failed>>,
    failures: AtomicU64,
}

#[derive(Clone)]
struct Held {
    credentials: Credentials,
    renew_at: SystemTime,
}

struct Failed {
    number: u64,
    error: AwsError,
}

/// What had failed when somebody began to wait: a later failure is theirs too.
#[derive(Clone, Copy)]
pub(crate) struct Seen(u64);

impl Cache {
    pub(crate) fn seen(&self) -> Seen {
        Seen(self.failures.load(Ordering::Acquire))
    }

    /// What is held, unless it is time to renew it.
    pub(crate) fn fresh(&self, now: SystemTime) -> Option<Credentials> {
        self.held().filter(|held| now < held.renew_at).map(|held| held.credentials)
    }

    /// What is held, or what `resolve` brings: one call at a time, whose result, good or bad, serves
    /// everyone who waited for it. Credentials that still hold outlive a failed renewal.
    ///
    /// Cancel safety: dropped while it resolves, the next in line starts anew.
    pub(crate) async fn get<F>(
        &self,
        seen: Seen,
        clock: &SharedTimeSource,
        resolve: impl FnOnce() -> F,
    ) -> Result<Credentials, AwsError>
    where
        F: Future<Output = Result<Credentials, AwsError>>,
    {
        let mut failed = self.turn.lock().await;
        if let Some(fresh) = self.fresh(clock.now()) {
            return Ok(fresh);
        }
        if let Some(failed) = failed.as_ref().filter(|failed| failed.number > seen.0) {
            return Err(failed.error.clone());
        }
        let error = match resolve().await {
            Ok(credentials) => return Ok(self.keep(credentials, clock.now())),
            Err(error) => error,
        };
        if let Some(credentials) = self.valid(clock.now()) {
            tracing::warn!(%error, "AWS credentials not renewed: those held still serve");
            return Ok(self.keep(credentials, clock.now()));
        }
        let number = self.failures.fetch_add(1, Ordering::AcqRel) + 1;
        *failed = Some(Failed { number, error: error.clone() });
        Err(error)
    }

    fn keep(&self, credentials: Credentials, now: SystemTime) -> Credentials {
        let renew_at = renewal(credentials.expiry(), now);
        let held = Held { credentials: credentials.clone(), renew_at };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        credentials
    }

    /// What is held and not over yet.
    fn valid(&self, now: SystemTime) -> Option<Credentials> {
        let held = self.held()?;
        held.credentials.expiry().is_some_and(|end| now < end).then_some(held.credentials)
    }

    fn held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// When credentials that are taken `now` are renewed; never after their end.
fn renewal(end: Option<SystemTime>, now: SystemTime) -> SystemTime {
    let Some(end) = end else { return now + ENDLESS };
    let ahead = end.checked_sub(AHEAD).unwrap_or(end);
    ahead.max(now + PAUSE).min(end)
}

#[cfg(test)]
mod tests;
