//! What many want at once and one asks for.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Instrument as _;

use crate::CredentialError;

/// A value that is asked for by one at a time, and kept. What the one brings, good or bad, serves
/// everyone who waited for it.
pub(crate) struct Shared<T> {
    held: Mutex<Option<Held<T>>>,
    /// Whoever asks has it; the others wait for what it brings.
    turn: tokio::sync::Mutex<Option<Failed>>,
    /// Counts the answers: a value is newer than another if its number is higher.
    answers: AtomicU64,
}

/// A value and its number, which tells newer from older ones.
#[derive(Clone)]
pub(crate) struct Held<T> {
    pub(crate) number: u64,
    pub(crate) value: T,
}

struct Failed {
    number: u64,
    error: CredentialError,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            answers: AtomicU64::new(0),
        }
    }
}

impl<T: Clone> Shared<T> {
    /// What is held now.
    pub(crate) fn held(&self) -> Option<Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what is held.
    pub(crate) fn clear(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The number of the last answer, good or bad.
    pub(crate) fn last(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }

    /// What is held if it is `usable`, or what `ask` brings.
    ///
    /// Cancel safety: dropped while it asks, the next in line starts anew.
    pub(crate) async fn get<F>(
        &self,
        usable: impl Fn(&Held<T>) -> bool,
        ask: impl FnOnce() -> F,
    ) -> Result<Held<T>, CredentialError>
    where
        F: Future<Output = Result<T, CredentialError>>,
    {
        let seen = self.last();
        self.after(seen, usable, ask).await
    }

    async fn after<F>(
        &self,
        seen: u64,
        usable: impl Fn(&Held<T>) -> bool,
        ask: impl FnOnce() -> F,
    ) -> Result<Held<T>, CredentialError>
    where
        F: Future<Output = Result<T, CredentialError>>,
    {
        if let Some(held) = self.held().filter(&usable) {
            return Ok(held);
        }
        let mut failed = self.turn.lock().await;
        if let Some(held) = self.held().filter(usable) {
            return Ok(held);
        }
        if let Some(failed) = failed.as_ref().filter(|failed| failed.number > seen) {
            return Err(failed.error.clone());
        }
        let answer = ask().await;
        let number = self.answers.fetch_add(1, Ordering::AcqRel) + 1;
        match answer {
            Ok(value) => {
                let held = Held { number, value };
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held.clone());
                Ok(held)
            }
            Err(error) => {
                *failed = Some(Failed { number, error: error.clone() });
                Err(error)
            }
        }
    }
}

impl<T: Clone + Send + 'static> Shared<T> {
    /// As [`Shared::get`], in a task of its own.
    ///
    /// Cancel safety: safe; what was begun goes on and serves the others.
    pub(crate) async fn get_apart<F>(
        self: &Arc<Self>,
        usable: impl Fn(&Held<T>) -> bool + Send + 'static,
        ask: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Held<T>, CredentialError>
    where
        F: Future<Output = Result<T, CredentialError>> + Send + 'static,
    {
        if let Some(held) = self.held().filter(&usable) {
            return Ok(held);
        }
        let (shared, seen) = (Arc::clone(self), self.last());
        let apart = async move { shared.after(seen, usable, ask).await };
        let done = tokio::spawn(apart.in_current_span()).await;
        done.unwrap_or(Err(CredentialError::Interrupted))
    }
}
