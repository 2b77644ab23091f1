//! A Data API for unit tests: it plays back answers and keeps what was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use pgferry_pg::SqlState;

use crate::api::{Api, Call, Outcome, TransactionId};
use crate::failure::{Effect, Failure};
use crate::fault::Fault;

#[derive(Default)]
pub(crate) struct Fake {
    answers: Mutex<VecDeque<Result<Outcome, Failure>>>,
    calls: Mutex<Vec<String>>,
}

impl Fake {
    /// Answers calls in this order, and those beyond with nothing at all.
    pub(crate) fn answering(
        answers: impl IntoIterator<Item = Result<Outcome, Failure>>,
    ) -> Arc<Self> {
        let answers = Mutex::new(answers.into_iter().collect());
        Arc::new(Self { answers, ..Self::default() })
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn next(&self, call: String) -> Result<Outcome, Failure> {
        self.calls.lock().unwrap().push(call);
        self.answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok(Outcome::default()))
    }
}

/// A call that failed.
pub(crate) fn failing(effect: Effect) -> Result<Outcome, Failure> {
    Err(Failure::new(effect, Fault::error(SqlState::CONNECTION_FAILURE, "it failed")))
}

impl Api for Fake {
    async fn execute(&self, call: Call) -> Result<Outcome, Failure> {
        let within = call.transaction.map(|id| format!("{}: ", id.0)).unwrap_or_default();
        self.next(format!("{within}{}", call.sql))
    }

    async fn begin(&self) -> Result<TransactionId, Failure> {
        self.next("begin".to_owned())?;
        let begun = self.calls().iter().filter(|call| *call == "begin").count();
        Ok(TransactionId(format!("t{begun}").into()))
    }

    async fn commit(&self, transaction: &TransactionId) -> Result<(), Failure> {
        self.next(format!("commit {}", transaction.0)).map(drop)
    }

    async fn rollback(&self, transaction: &TransactionId) -> Result<(), Failure> {
        self.next(format!("rollback {}", transaction.0)).map(drop)
    }
}
