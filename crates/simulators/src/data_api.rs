//! Simulated Data API of Aurora: SQL over HTTP, in front of a real PostgreSQL.
//!
//! It prepares statements and gets their results in binary form, as the real service seems to do
//! with the library sqlx: what a parameter is declared to be, and much of what goes wrong, comes by
//! itself. Where the real one makes mistakes, so does this one; where nobody has published what it
//! does, there is a setting in [`Unknowns`].
//!
//! Sources: the Amazon RDS Data Service API reference (2018-08-01), the chapter on the Data API in
//! the Aurora user guide, and error texts that users of the service have published.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use call::{Backend, Canceller, Task};
pub use journal::DataApiCall;
pub use leak::Leak;
use refusal::{internal, statement_timeout};
use request::{Request, Timeout};
use serde_json::Value;
use session::{Login, Pools, Session};
use tokio::time::{interval, sleep};
use transaction::{End, Transaction, Transactions};
pub use unknowns::{
    Abandoned, AbortedCommit, ErrorText, EscapeStrings, Leftovers, NullType, RowLimit,
    SeveralStatements, Undecodable, Unknowns,
};

use crate::{
    Aws, Clock, Postgres,
    aws::{
        World,
        call::Incoming,
        principal::Principal,
        reply::{Failure, Success},
    },
};

mod admission;
mod argument;
mod call;
mod column;
mod decimal;
mod field;
mod journal;
mod leak;
mod moment;
mod placeholder;
mod refusal;
mod request;
mod session;
mod statement;
mod transaction;
mod type_name;
mod unknowns;

/// The handle by which tests watch and disturb the Data API; clones share the service.
#[derive(Clone)]
pub struct DataApi(Arc<Service>);

struct Service {
    clock: Clock,
    state: Mutex<State>,
    /// Told when transactions begin or end.
    transactions_changed: Condvar,
}

#[derive(Default)]
struct State {
    unknowns: Unknowns,
    /// Where the clusters' databases are.
    databases: HashMap<String, SocketAddr>,
    pools: Pools,
    transactions: Transactions,
    journal: Vec<DataApiCall>,
    resuming: u32,
    latency: Duration,
}

impl Aws {
    /// The control over the Data API.
    pub fn data_api(&self) -> DataApi {
        self.world().data_api.clone()
    }
}

impl DataApi {
    pub(crate) fn new(clock: Clock) -> Self {
        let (state, transactions_changed) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Service { clock, state, transactions_changed }))
    }

    /// Lets `postgres` be the writer of the cluster of this name, which has to have its Data API
    /// on. The logins are those of secrets, as RDS keeps them: `{"username": …, "password": …}`.
    pub fn attach(&self, cluster: &str, postgres: &Postgres) {
        let address = postgres.address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let address = SocketAddr::new(address, postgres.port());
        self.0.state().databases.insert(cluster.to_owned(), address);
    }

    /// Changes what is not known of the real service.
    pub fn suppose(&self, change: impl FnOnce(&mut Unknowns)) {
        change(&mut self.0.state().unknowns);
    }

    /// Pauses the clusters: the next `calls` calls are told that the database is resuming.
    pub fn pause(&self, calls: u32) {
        self.0.state().resuming = calls;
    }

    /// How long every call takes at least from now on: some 17 ms within a region, 190 ms across an
    /// ocean.
    pub fn latency(&self, latency: Duration) {
        self.0.state().latency = latency;
    }

    /// Every call so far that was read, in the order they came.
    pub fn calls(&self) -> Vec<DataApiCall> {
        self.0.state().journal.clone()
    }

    /// How many transactions are open.
    pub fn open_transactions(&self) -> usize {
        self.0.state().transactions.count()
    }

    /// Blocks until so many transactions are open; false after `limit`. One that ends counts until
    /// PostgreSQL has committed it or rolled it back.
    pub fn wait_for_open_transactions(&self, count: usize, limit: Duration) -> bool {
        let other = |state: &mut State| state.transactions.count() != count;
        let waited = self.0.transactions_changed.wait_timeout_while(self.0.state(), limit, other);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Serves a call.
pub(crate) async fn call(
    incoming: &Incoming,
    caller: &Principal,
    world: &World,
) -> Result<Success, Failure> {
    let request = Request::read(incoming)?;
    let service = world.data_api.0.clone();
    let number = service.begin(&incoming.action, &request);
    let latency = service.state().latency;
    sleep(latency).await;
    let answer = match service.admit(&incoming.action, &request, (caller, world)) {
        Ok(login) => service.perform(login, request).await,
        Err(failure) => Err(failure),
    };
    let answer = answer.map(Success::Json);
    service.finish(number, answer.as_ref().err());
    answer
}

impl Service {
    /// Performs it within the time there is for a call.
    async fn perform(self: &Arc<Self>, login: Login, request: Request) -> Result<Value, Failure> {
        let (timeout, backend) = (request.timeout(), Backend::default());
        let service = self.clone();
        let task = Task { service, login: login.clone(), request, backend: backend.clone() };
        // On its own: a client that goes away does not by itself stop a statement.
        let mut performed = tokio::spawn(task.perform());
        let abandoned = self.unknowns().abandoned;
        let canceller = Canceller { login: login.clone(), backend: backend.clone(), abandoned };
        tokio::select! {
            ended = &mut performed => {
                canceller.disarm();
                return ended.unwrap_or_else(|_| Err(internal()));
            }
            () = self.clock_strikes(STATEMENT_LIMIT) => canceller.disarm(),
        }
        if let (Timeout::Cancels, Some(id)) = (timeout, backend.id()) {
            // It may have ended meanwhile, and its database too.
            login.cancel(id).await.ok();
            performed.await.ok();
        }
        Err(statement_timeout(backend.id()))
    }

    /// Waits by the simulated clock.
    async fn clock_strikes(&self, after: Duration) {
        let end = self.clock.now() + after.as_secs();
        let mut ticks = interval(Duration::from_millis(20));
        while self.clock.now() < end {
            ticks.tick().await;
        }
    }

    async fn transaction(&self, id: &str, request: &Request) -> Result<Arc<Transaction>, Failure> {
        let found = self.state().transactions.find(id, request)?;
        self.expire(&found).await;
        self.state().transactions.find(id, request)
    }

    /// Ends it if it is idle and its time is over.
    async fn expire(&self, transaction: &Transaction) {
        let now = self.clock.now();
        let Ok(mut held) = transaction.session.try_lock() else { return };
        if !transaction.is_over(now) {
            return;
        }
        // First, so that a call that comes meanwhile learns why it is gone.
        let session = held.take();
        self.state().transactions.expire(&transaction.id);
        if let Some(session) = session
            && session.command("ROLLBACK").await.is_ok()
        {
            self.give_back(session);
        }
        self.change_transactions(|all| all.end(&transaction.id, End::Expired));
    }

    fn change_transactions(&self, change: impl FnOnce(&mut Transactions)) {
        change(&mut self.state().transactions);
        self.transactions_changed.notify_all();
    }

    fn give_back(&self, session: Session) {
        let mut state = self.state();
        match state.unknowns.leftovers {
            Leftovers::Stay => state.pools.put(session),
            Leftovers::Discarded => drop(session),
        }
    }

    fn unknowns(&self) -> Unknowns {
        self.state().unknowns.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Source: the reference of `ExecuteStatement`.
const STATEMENT_LIMIT: Duration = Duration::from_secs(45);
