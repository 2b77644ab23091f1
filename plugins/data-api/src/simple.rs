//! The simple protocol: a text with statements, all of them together one transaction.

use bytes::Bytes;
use pgferry_sql::{Backslashes, statements};
use pgferry_transport_sdk::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::act::{self, Act};
use crate::api::Api;
use crate::fault::{Fault, state};
use crate::order::Wanted;
use crate::perform::{Done, encoded};
use crate::session::Session;
use crate::transaction::Scope;
use crate::wire::frontend::Formats;

impl<A: Api, S: AsyncRead + AsyncWrite + Unpin + Send> Session<A, S> {
    /// Runs a query, to its `ReadyForQuery`.
    ///
    /// Errors: the application's connection broke.
    pub(crate) async fn query(&mut self, sql: &Bytes) -> Result<(), Error> {
        match str::from_utf8(sql) {
            Ok(sql) => self.statements(sql).await?,
            Err(_) => self.refuse(&not_utf8()).await,
        }
        self.prepared.forget_unnamed();
        self.ready().await
    }

    async fn statements(&mut self, sql: &str) -> Result<(), Error> {
        let all = statements(sql, Backslashes::Literal);
        if all.is_empty() {
            self.answers().empty_query_response();
        }
        let several = all.len() > 1;
        for (index, statement) in all.iter().enumerate() {
            let last = index + 1 == all.len();
            if several && self.work.is_none() && !(last && index == 0) {
                self.work.begin(Scope::Implicit, "");
            }
            let wanted = Wanted::bare(statement);
            if let Err(fault) = self.statement(&wanted, last).await {
                self.answers().error(&fault);
                self.end_failed().await;
                return Ok(());
            }
            self.connection.flush_if_large().await?;
        }
        Ok(())
    }

    /// One of them. The last one's tag comes after the commit, which may fail.
    async fn statement(&mut self, wanted: &Wanted<'_>, last: bool) -> Result<(), Fault> {
        let act = Act::of(wanted.statement);
        let tag = match self.perform(wanted, &act).await? {
            Done::Tag(tag) => tag,
            Done::Rows(table, class) => {
                let formats = Formats::default();
                self.answers().row_description(&table.shape.describe(&formats));
                for row in &table.rows {
                    self.answers().data_row(&encoded(row, &table.shape, &formats)?);
                }
                act::tag(&class, table.rows.len() as u64)
            }
        };
        if last && self.work.is_implicit() {
            self.commit().await?;
        }
        self.answers().command_complete(&tag);
        Ok(())
    }
}

pub(crate) fn not_utf8() -> Fault {
    Fault::error(state::BAD_ENCODING.into(), "invalid byte sequence for encoding \"UTF8\"")
}
