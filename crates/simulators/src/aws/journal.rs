//! Who called what, in the order the calls came.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// One call, as the simulated service saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// As policies name it: `secretsmanager:GetSecretValue`.
    pub action: String,
    /// Who claims to have signed it; none without a signature.
    pub access_key_id: Option<String>,
    /// The region it was signed for.
    pub region: Option<String>,
    /// When it came, in Unix seconds by the simulated clock.
    pub time: u64,
    /// The error code it was answered with; none for a success, and while it is not answered.
    pub error: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Journal {
    calls: Mutex<Vec<Call>>,
    grown: Condvar,
}

impl Journal {
    /// Returns the number under which its end is to be reported.
    pub(crate) fn begin(&self, call: Call) -> usize {
        let mut calls = self.lock();
        calls.push(call);
        self.grown.notify_all();
        calls.len() - 1
    }

    pub(crate) fn end(&self, number: usize, error: Option<String>) {
        if let Some(call) = self.lock().get_mut(number) {
            call.error = error;
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    pub(crate) fn wait(&self, action: &str, count: usize, limit: Duration) -> bool {
        let few = |calls: &mut Vec<Call>| {
            calls.iter().filter(|call| call.action == action).count() < count
        };
        let waited = self.grown.wait_timeout_while(self.lock(), limit, few);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
