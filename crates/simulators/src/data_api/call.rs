//! Calls: who may make them, where they lead, and what they do there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{runtime::Handle, time::interval};

use super::{
    Service,
    argument::Parameter,
    refusal::{database_error, from_postgres, transaction_not_found},
    request::{AnswerOptions, Decimals, Format, Longs, Operation, Request, Rows, Statement},
    session::{Login, Session},
    statement::{self, Prepared, Trouble},
    transaction::{End, Transaction},
    unknowns::{Abandoned, AbortedCommit, Undecodable, Unknowns},
};
use crate::aws::reply::Failure;

/// A request on its way to its database.
pub(super) struct Task {
    pub(super) service: Arc<Service>,
    pub(super) login: Login,
    pub(super) request: Request,
    pub(super) backend: Backend,
}

/// The backend that works for a call, once there is one.
#[derive(Clone, Default)]
pub(super) struct Backend(Arc<AtomicI32>);

impl Backend {
    fn is(&self, session: &Session) {
        self.0.store(session.backend, Ordering::SeqCst);
    }

    /// Its process id.
    pub(super) fn id(&self) -> Option<i32> {
        Some(self.0.load(Ordering::SeqCst)).filter(|id| *id != 0)
    }
}

/// Cancels what a call has begun when it is dropped: its caller went away.
pub(super) struct Canceller {
    pub(super) login: Login,
    pub(super) backend: Backend,
    pub(super) abandoned: Abandoned,
}

impl Canceller {
    /// The call was answered.
    pub(super) fn disarm(mut self) {
        self.abandoned = Abandoned::RunsOn;
    }
}

impl Drop for Canceller {
    fn drop(&mut self) {
        if let (Abandoned::Cancelled, Some(id)) = (self.abandoned, self.backend.id())
            && let Ok(runtime) = Handle::try_current()
        {
            let login = self.login.clone();
            // There is nobody to tell that it did not work.
            runtime.spawn(async move { login.cancel(id).await.ok() });
        }
    }
}

impl Task {
    pub(super) async fn perform(self) -> Result<Value, Failure> {
        match &self.request.operation {
            Operation::Execute(statement) => self.execute(statement).await,
            Operation::Batch { sql, sets, transaction } => {
                self.batch(sql, sets, transaction.as_deref()).await
            }
            Operation::Begin => self.begin().await,
            Operation::Commit(id) => self.end(id, "COMMIT").await,
            Operation::Rollback(id) => self.end(id, "ROLLBACK").await,
        }
    }

    async fn execute(&self, statement: &Statement) -> Result<Value, Failure> {
        let unknowns = self.service.unknowns();
        let prepared = Prepared::new(&statement.sql, &statement.parameters, &unknowns)?;
        match &statement.transaction {
            Some(id) => self.run_within(id, &prepared, statement.answer, &unknowns).await,
            None => self.run_alone(&prepared, statement.answer, &unknowns).await,
        }
    }

    async fn batch(
        &self,
        sql: &str,
        sets: &[Vec<Parameter>],
        transaction: Option<&str>,
    ) -> Result<Value, Failure> {
        let unknowns = self.service.unknowns();
        let none = [Vec::new()];
        let sets = if sets.is_empty() { &none[..] } else { sets };
        let prepared: Vec<_> =
            sets.iter().map(|set| Prepared::new(sql, set, &unknowns)).collect::<Result<_, _>>()?;
        let mut results = Vec::new();
        for prepared in &prepared {
            match transaction {
                Some(id) => self.run_within(id, prepared, BATCH, &unknowns).await?,
                None => self.run_alone(prepared, BATCH, &unknowns).await?,
            };
            // No counts, no keys.
            results.push(json!({"generatedFields": []}));
        }
        Ok(json!({"updateResults": results}))
    }

    async fn run_alone(
        &self,
        prepared: &Prepared,
        options: AnswerOptions,
        unknowns: &Unknowns,
    ) -> Result<Value, Failure> {
        let mut session = self.session(unknowns).await?;
        let revocable = unknowns.undecodable == Undecodable::RolledBack;
        if revocable {
            self.command(&session, "BEGIN", unknowns).await?;
        }
        self.backend.is(&session);
        let outcome = statement::run(&mut session, prepared, options, unknowns).await;
        if revocable {
            let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
            let ended = self.command(&session, end, unknowns).await;
            // What went wrong first is what is told.
            if outcome.is_ok() {
                ended?;
            }
        }
        if !matches!(outcome, Err(Trouble::Lost(_))) {
            self.service.give_back(session);
        }
        outcome.map_err(Trouble::failure)
    }

    async fn run_within(
        &self,
        id: &str,
        prepared: &Prepared,
        options: AnswerOptions,
        unknowns: &Unknowns,
    ) -> Result<Value, Failure> {
        let transaction = self.service.transaction(id, &self.request).await?;
        let mut held = transaction.session.try_lock().map_err(|_| busy())?;
        let session = held.as_mut().ok_or_else(|| gone(id))?;
        self.backend.is(session);
        let outcome = statement::run(session, prepared, options, unknowns).await;
        transaction.used(self.service.clock.now());
        if matches!(outcome, Err(Trouble::Lost(_))) {
            held.take();
            self.service.change_transactions(|all| all.end(id, End::Aborted));
        }
        outcome.map_err(Trouble::failure)
    }

    async fn begin(&self) -> Result<Value, Failure> {
        let unknowns = self.service.unknowns();
        let session = self.session(&unknowns).await?;
        self.command(&session, "BEGIN", &unknowns).await?;
        let transaction = Transaction::new(&self.request, session, self.service.clock.now());
        let answer = json!({"transactionId": transaction.id});
        self.service.change_transactions(|all| all.add(transaction.clone()));
        tokio::spawn(watch(self.service.clone(), transaction));
        Ok(answer)
    }

    async fn end(&self, id: &str, sql: &str) -> Result<Value, Failure> {
        let unknowns = self.service.unknowns();
        let transaction = self.service.transaction(id, &self.request).await?;
        let mut held = transaction.session.try_lock().map_err(|_| busy())?;
        let session = held.take().ok_or_else(|| gone(id))?;
        let aborted = sql == "COMMIT" && session.is_aborted().await;
        let done = self.command(&session, sql, &unknowns).await;
        self.service.change_transactions(|all| all.end(id, End::Finished));
        done?;
        self.service.give_back(session);
        if aborted && unknowns.aborted_commit == AbortedCommit::NotFound {
            return Err(transaction_not_found(id, "it was aborted by an earlier error."));
        }
        let status = if sql == "COMMIT" { "Transaction Committed" } else { "Rollback Complete" };
        Ok(json!({"transactionStatus": status}))
    }

    async fn session(&self, unknowns: &Unknowns) -> Result<Session, Failure> {
        let rested = self.service.state().pools.take(&self.login);
        if let Some(session) = rested {
            return Ok(session);
        }
        let opened = self.login.open().await;
        opened.map_err(|error| from_postgres(&error, unknowns.error_text))
    }

    async fn command(
        &self,
        session: &Session,
        sql: &str,
        unknowns: &Unknowns,
    ) -> Result<(), Failure> {
        let done = session.command(sql).await;
        done.map_err(|error| from_postgres(&error, unknowns.error_text))
    }
}

/// Rolls it back when it has been idle for too long, whether somebody calls or not.
async fn watch(service: Arc<Service>, transaction: Arc<Transaction>) {
    let mut ticks = interval(Duration::from_millis(20));
    while service.state().transactions.is_open(&transaction.id) {
        ticks.tick().await;
        service.expire(&transaction).await;
    }
}

fn busy() -> Failure {
    database_error("Transaction is still running a query")
}

fn gone(id: &str) -> Failure {
    transaction_not_found(id, "it was ended by a previous call.")
}

const BATCH: AnswerOptions = AnswerOptions {
    rows: Rows::Refused,
    metadata: false,
    format: Format::Fields,
    longs: Longs::Long,
    decimals: Decimals::String,
};
