//! One session of an application: its messages, in order, and what becomes of them.
//!
//! One task owns it. Messages of the extended protocol are kept until the application waits for their answers, for
//! only then it is known which of them PostgreSQL would commit together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pgferry_pg::SqlState;
use pgferry_pg::message::Raw;
use pgferry_transport_sdk::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::api::Api;
use crate::connection::Connection;
use crate::extended::Prepared;
use crate::fault::{Fault, state};
use crate::greeting::Facts;
use crate::interruption::Interruption;
use crate::settings::Settings;
use crate::shapes::Shapes;
use crate::transaction::Transaction;
use crate::wire::frontend::Message;

/// A session.
pub(crate) struct Session<A, S> {
    pub(crate) connection: Connection<S>,
    pub(crate) work: Transaction<A>,
    pub(crate) shapes: Shapes,
    pub(crate) prepared: Prepared,
    pub(crate) settings: Settings,
    pub(crate) facts: Arc<Facts>,
    pub(crate) interruption: Arc<Interruption>,
    pub(crate) idle_limit: Duration,
    /// A comment before every statement, by which the database's list of activities tells whose it is.
    pub(crate) label: String,
    /// After an error in the extended protocol: nothing is done until Sync.
    pub(crate) skipping: bool,
}

/// How a batch of messages ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Sync: what it did is committed.
    Sync,
    /// Flush, or something else: there is more to come.
    Open,
}

impl<A: Api, S: AsyncRead + AsyncWrite + Unpin + Send> Session<A, S> {
    /// Serves the application until it leaves. What it has not committed is undone.
    ///
    /// Errors: the application's connection broke.
    ///
    /// Cancel safety: a transaction is left to the service, which ends it after three minutes.
    pub(crate) async fn serve(mut self) -> Result<(), Error> {
        let served = self.converse().await;
        self.work.rollback().await;
        served
    }

    async fn converse(&mut self) -> Result<(), Error> {
        let mut batch = VecDeque::new();
        let mut size = 0;
        while let Some(raw) = self.next().await? {
            let Some(message) = Message::decode(&raw) else {
                self.answers().error(&broken(&raw).fatal());
                return self.connection.flush().await;
            };
            match message {
                Message::Terminate => return Ok(()),
                Message::Sync => {
                    self.batch(&mut batch, End::Sync).await?;
                    size = 0;
                }
                _ if self.skipping => {}
                Message::Query(sql) => {
                    self.batch(&mut batch, End::Open).await?;
                    size = 0;
                    if !self.skipping {
                        self.query(&sql).await?;
                    }
                }
                Message::Flush => {
                    self.batch(&mut batch, End::Open).await?;
                    size = 0;
                }
                // What is left of a copy that was refused.
                Message::Copy => {}
                Message::FunctionCall => {
                    self.batch(&mut batch, End::Open).await?;
                    size = 0;
                    if !self.skipping {
                        self.function_call().await?;
                    }
                }
                message => {
                    size += raw.body.len();
                    batch.push_back(message);
                    if size > LARGEST_BATCH {
                        self.batch(&mut batch, End::Open).await?;
                        size = 0;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next message. While the application thinks inside a transaction, that is kept alive, up to a limit.
    async fn next(&mut self) -> Result<Option<Raw>, Error> {
        self.connection.flush().await?;
        let since = Instant::now();
        loop {
            let Some(last_call) = self.work.idle_since() else {
                return self.connection.read().await;
            };
            let limit = since + self.idle_limit;
            let due = (last_call + KEEP_ALIVE).min(limit);
            match tokio::time::timeout_at(due, self.connection.read()).await {
                Ok(read) => return read,
                Err(_) if Instant::now() >= limit => self.give_up().await,
                Err(_) => self.work.keep_alive().await,
            }
        }
    }

    /// The application has thought too long. PostgreSQL ends the session; here it may go on with a new transaction.
    async fn give_up(&mut self) {
        tracing::debug!("a transaction was idle for too long and is rolled back");
        let fault = Fault::error(
            state::IDLE_IN_TRANSACTION.into(),
            "the transaction was idle for too long and is rolled back",
        );
        let hint = "commit earlier, or set idle_in_transaction for this transport";
        self.work.expire(fault.with_hint(hint)).await;
    }

    /// An error that the statements have no part in.
    pub(crate) async fn refuse(&mut self, fault: &Fault) {
        self.answers().error(fault);
        self.end_failed().await;
    }

    async fn function_call(&mut self) -> Result<(), Error> {
        let fault = Fault::unsupported("function calls by the protocol are not carried");
        self.refuse(&fault.with_hint("call the function in a SELECT")).await;
        self.ready().await
    }

    /// Ends a batch, or a query.
    pub(crate) async fn ready(&mut self) -> Result<(), Error> {
        if self.work.is_none() {
            self.shapes.end();
            self.settings.end();
        }
        let status = self.work.status();
        self.answers().ready_for_query(status);
        self.connection.flush().await
    }

    pub(crate) fn answers(&mut self) -> &mut crate::wire::backend::Answers {
        &mut self.connection.answers
    }
}

fn broken(raw: &Raw) -> Fault {
    let tag = char::from(raw.tag).escape_default();
    Fault::error(SqlState::PROTOCOL_VIOLATION, format!("invalid frontend message of type {tag}"))
}

/// The service ends a transaction after three minutes without a call.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// What is waiting for a Sync, in bytes: more is run before it comes.
const LARGEST_BATCH: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;
