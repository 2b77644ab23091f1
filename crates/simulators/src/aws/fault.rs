//! Answers that are wrong on purpose.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::reply::Failure;

/// What happens to a call instead of its being served, or after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It came too soon after the last one: HTTP 400 and the protocol's throttling code.
    Throttle,
    /// HTTP 500.
    Internal,
    /// HTTP 503.
    Unavailable,
    /// No answer until [`super::Aws::release`]; then it is served.
    Hang,
    /// The connection ends without an answer.
    Drop,
    /// It is served; then the connection ends without an answer.
    LostAnswer,
    /// It is served, and answered with HTTP 500 all the same.
    InternalAfter,
    /// It is served, but half of the answer comes only after [`super::Aws::release`].
    SlowBody,
    /// This very error.
    Error {
        /// The HTTP status.
        status: u16,
        /// The code, in the words of the protocol.
        code: &'static str,
        /// The message.
        message: &'static str,
    },
}

#[derive(Debug)]
pub(crate) struct Faults {
    planned: Mutex<Vec<Planned>>,
    /// Counts the releases.
    releases: watch::Sender<u64>,
}

#[derive(Debug)]
struct Planned {
    action: String,
    fault: Fault,
    times: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Self { planned: Mutex::default(), releases: watch::Sender::new(0) }
    }
}

impl Faults {
    pub(crate) fn plan(&self, action: &str, fault: Fault, times: u32) {
        self.with(|planned| planned.push(Planned { action: action.to_owned(), fault, times }));
    }

    pub(crate) fn clear(&self) {
        self.with(Vec::clear);
        self.release();
    }

    pub(crate) fn release(&self) {
        self.releases.send_modify(|releases| *releases += 1);
    }

    /// Takes the next fault planned for `action`, if any.
    pub(crate) fn next(&self, action: &str) -> Option<Fault> {
        self.with(|planned| {
            planned.retain(|plan| plan.times > 0);
            let plan = planned.iter_mut().find(|plan| plan.action == action)?;
            plan.times = plan.times.saturating_sub(1);
            Some(plan.fault.clone())
        })
    }

    /// Subscribed to before the call appears in the journal, so that no release is missed.
    pub(crate) fn hold(&self) -> watch::Receiver<u64> {
        self.releases.subscribe()
    }

    fn with<T>(&self, change: impl FnOnce(&mut Vec<Planned>) -> T) -> T {
        change(&mut self.planned.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Fault {
    /// The error to answer with instead of serving the call; none for the faults without one.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Throttle => Some(Failure::throttled()),
            Self::Internal => Some(Failure::internal()),
            Self::Unavailable => {
                Some(Failure::new(503, "ServiceUnavailable", "The service is unavailable."))
            }
            Self::Error { status, code, message } => Some(Failure::new(*status, code, message)),
            Self::Hang | Self::Drop | Self::LostAnswer | Self::InternalAfter | Self::SlowBody => {
                None
            }
        }
    }
}
