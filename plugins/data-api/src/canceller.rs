//! Cancelling a session's statement, from outside of it.

use std::sync::Arc;

use crate::api::{Api, Call, Parameter};

/// Asks the database to cancel a statement, in a call of its own.
pub(crate) struct Canceller<A> {
    pub(crate) api: Arc<A>,
}

impl<A: Api> Canceller<A> {
    /// Cancels the statement that begins with this comment, if one runs. It ends with PostgreSQL's own error.
    ///
    /// Cancel safety: it may have been cancelled.
    pub(crate) async fn cancel(&self, label: &str) {
        let call = Call {
            sql: CANCEL.to_owned(),
            parameters: vec![("label".to_owned(), Parameter::Text(label.to_owned()))],
            ..Call::default()
        };
        if let Err(failure) = self.api.execute(call).await {
            tracing::debug!(reason = %failure.fault.message, "a statement could not be cancelled");
        }
    }
}

const CANCEL: &str = "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity \
    WHERE pg_catalog.starts_with(query, :label) AND state = 'active' AND pid <> pg_catalog.pg_backend_pid()";
