//! Which statements came.

use super::{Service, request::Request};
use crate::aws::reply::{Failure, Protocol};

/// One call of the Data API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataApiCall {
    /// `ExecuteStatement` and so on.
    pub operation: String,
    /// The statement, as it came.
    pub sql: Option<String>,
    /// The database it names.
    pub database: Option<String>,
    /// The transaction it names.
    pub transaction: Option<String>,
    /// The error code it was answered with; none for a success, and while it is not answered.
    pub error: Option<String>,
}

impl Service {
    /// Returns the number under which its end is to be reported.
    pub(super) fn begin(&self, operation: &str, request: &Request) -> usize {
        let journal = &mut self.state().journal;
        journal.push(DataApiCall {
            operation: operation.to_owned(),
            sql: request.sql().map(str::to_owned),
            database: request.database.clone(),
            transaction: request.transaction().map(str::to_owned),
            error: None,
        });
        journal.len() - 1
    }

    pub(super) fn finish(&self, number: usize, failure: Option<&Failure>) {
        if let Some(call) = self.state().journal.get_mut(number) {
            call.error = failure.map(|it| it.code(Protocol::DataApi).to_owned());
        }
    }
}
