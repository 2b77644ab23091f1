//! What is tried again: a call that never reached the database, and a read whose answer was lost. A write whose
//! answer was lost never is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::{Api, Call, Outcome, TransactionId};
use crate::failure::{Effect, Failure};

/// The calls, made with patience.
pub(crate) struct Patient<A> {
    api: Arc<A>,
    /// How long a cluster may take to resume.
    resume_wait: Duration,
}

/// Whether a statement may change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It provably does not.
    Reads,
    /// It may.
    Writes,
}

impl<A: Api> Patient<A> {
    pub(crate) fn new(api: Arc<A>, resume_wait: Duration) -> Self {
        Self { api, resume_wait }
    }

    pub(crate) fn api(&self) -> Arc<A> {
        Arc::clone(&self.api)
    }

    /// Cancel safety: the statement may go on, and may have been executed.
    pub(crate) async fn execute(&self, call: Call, access: Access) -> Result<Outcome, Failure> {
        let repeatable = access == Access::Reads && call.transaction.is_none();
        let mut tries = Tries::new(self.resume_wait, repeatable);
        loop {
            match self.api.execute(call.clone()).await {
                Ok(outcome) => return Ok(outcome),
                Err(failure) => tries.wait(failure).await?,
            }
        }
    }

    /// A transaction of which nobody knows ends by itself: to begin another one does no harm.
    ///
    /// Cancel safety: one may have begun that nobody knows of.
    pub(crate) async fn begin(&self) -> Result<TransactionId, Failure> {
        let mut tries = Tries::new(self.resume_wait, true);
        loop {
            match self.api.begin().await {
                Ok(transaction) => return Ok(transaction),
                Err(failure) => tries.wait(failure).await?,
            }
        }
    }

    /// Cancel safety: it may have been committed.
    pub(crate) async fn commit(&self, transaction: &TransactionId) -> Result<(), Failure> {
        let mut tries = Tries::new(COMMIT_WAIT, false);
        loop {
            match self.api.commit(transaction).await {
                Ok(()) => return Ok(()),
                Err(failure) => tries.wait(failure).await?,
            }
        }
    }

    /// What cannot be undone now is undone by the service after three minutes.
    ///
    /// Cancel safety: it may have been undone.
    pub(crate) async fn rollback(&self, transaction: &TransactionId) {
        let mut tries = Tries::new(COMMIT_WAIT, true);
        loop {
            let failure = match self.api.rollback(transaction).await {
                Ok(()) => return,
                Err(failure) if failure.effect == Effect::TransactionGone => return,
                Err(failure) => failure,
            };
            if let Err(failure) = tries.wait(failure).await {
                tracing::debug!(reason = %failure.fault.message, "a rollback is left to the service");
                return;
            }
        }
    }
}

/// The repetitions of one call.
struct Tries {
    until: Instant,
    pause: Duration,
    /// Whether a lost answer may be asked for again, and how often still.
    lost: u8,
}

impl Tries {
    fn new(patience: Duration, repeatable: bool) -> Self {
        let lost = if repeatable { LOST_ANSWERS } else { 0 };
        Self { until: Instant::now() + patience, pause: FIRST_PAUSE, lost }
    }

    /// Waits until it is time to try again.
    ///
    /// Errors: the failure itself, if it is final.
    async fn wait(&mut self, failure: Failure) -> Result<(), Failure> {
        match failure.effect {
            Effect::NotYet => {}
            Effect::Unknown if self.lost > 0 => self.lost -= 1,
            _ => return Err(failure),
        }
        if Instant::now() + self.pause > self.until {
            return Err(failure);
        }
        tracing::debug!(reason = %failure.fault.message, "a call of the Data API is made again");
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

const LOST_ANSWERS: u8 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const COMMIT_WAIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, failing};

    fn patient(fake: &Arc<Fake>) -> Patient<Fake> {
        Patient::new(Arc::clone(fake), Duration::from_mins(1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_whose_answer_was_lost_is_not_executed_again() {
        let fake = Fake::answering([failing(Effect::Unknown)]);
        let call = Call::new("insert into t values (1)");
        let failure = patient(&fake).execute(call, Access::Writes).await.unwrap_err();
        assert_eq!(failure.effect, Effect::Unknown);
        assert_eq!(fake.calls().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_whose_answer_was_lost_is_asked_again() {
        let fake = Fake::answering([failing(Effect::Unknown), Ok(Outcome::default())]);
        patient(&fake).execute(Call::new("select 1"), Access::Reads).await.unwrap();
        assert_eq!(fake.calls().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_resumes_is_waited_for_but_not_for_ever() {
        let fake = Fake::answering([failing(Effect::NotYet), Ok(Outcome::default())]);
        patient(&fake).execute(Call::new("insert"), Access::Writes).await.unwrap();
        let fake = Fake::answering(std::iter::repeat_with(|| failing(Effect::NotYet)).take(1000));
        let begun = Instant::now();
        patient(&fake).execute(Call::new("insert"), Access::Writes).await.unwrap_err();
        let waited = begun.elapsed();
        assert!(waited <= Duration::from_mins(1) && waited > Duration::from_secs(50), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_whose_answer_was_lost_is_not_made_again() {
        let fake = Fake::answering([failing(Effect::Unknown)]);
        let transaction = TransactionId("t1".into());
        patient(&fake).commit(&transaction).await.unwrap_err();
        assert_eq!(fake.calls(), ["commit t1"]);
    }
}
