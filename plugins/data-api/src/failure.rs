//! How a call failed: what it means for the statement, and what to tell the application.

use crate::fault::Fault;

/// A call that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) effect: Effect,
    pub(crate) fault: Fault,
}

/// What is known of the statement after its call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// PostgreSQL refused it. A transaction around it is aborted.
    Refused,
    /// It never reached the database, and may later: the cluster resumes, or the service asks to slow down.
    NotYet,
    /// It never reached the database, and will not.
    Never,
    /// It was executed, but the service cannot write its result down.
    Unwritable,
    /// It was executed, but its result is larger than the service hands out.
    TooLarge,
    /// The transaction it belongs to does not exist any more; its work is undone.
    TransactionGone,
    /// Nobody knows: there was no answer.
    Unknown,
}

impl Failure {
    pub(crate) fn new(effect: Effect, fault: Fault) -> Self {
        Self { effect, fault }
    }
}
