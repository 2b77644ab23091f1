//! The errors of the service, and database errors in its words.

use tokio_postgres::error::{DbError, ErrorPosition};

use super::unknowns::ErrorText;
use crate::aws::reply::Failure;

/// A constraint that the request breaks.
pub(super) fn validation(message: &str) -> Failure {
    Failure::new(400, "ValidationException", message)
}

pub(super) fn bad_request(message: &str) -> Failure {
    Failure::new(400, "BadRequestException", message)
}

pub(super) fn database_error(message: &str) -> Failure {
    Failure::new(400, "DatabaseErrorException", message)
}

pub(super) fn unsupported_result(message: &str) -> Failure {
    Failure::new(400, "UnsupportedResultException", message)
}

pub(super) fn several_statements() -> Failure {
    validation("Multistatements aren't supported.")
}

/// Without a message, as the service answers when it is at its wits' end.
pub(super) fn internal() -> Failure {
    Failure::new(500, "InternalFailure", "")
}

pub(super) fn transaction_not_found(id: &str, why: &str) -> Failure {
    let message = format!("Transaction {id} is not found: {why}");
    Failure::new(404, "TransactionNotFoundException", &message)
}

/// Of a statement that takes too long, with the backend that runs it.
pub(super) fn statement_timeout(backend: Option<i32>) -> Failure {
    let message = "Request timed out";
    let failure = Failure::new(400, "StatementTimeoutException", message);
    failure.with("dbConnectionId", backend.unwrap_or_default().into())
}

/// What the service makes of a failure below it.
pub(super) fn from_postgres(error: &tokio_postgres::Error, shape: ErrorText) -> Failure {
    if let Some(error) = error.as_db_error() {
        // Told by its words alone: it is a syntax error like others.
        if error.message() == "cannot insert multiple commands into a prepared statement" {
            return several_statements();
        }
        return database_error(&text(error, shape));
    }
    let message = format!("The writer instance is unavailable: {error}");
    Failure::new(504, "DatabaseUnavailableException", &message)
}

/// What PostgreSQL says apart from these parts is lost.
fn text(error: &DbError, shape: ErrorText) -> String {
    let severity = error.severity();
    let mut text = format!("{severity}: {}", error.message());
    let position = match error.position() {
        Some(ErrorPosition::Original(position)) => Some(position.to_string()),
        Some(ErrorPosition::Internal { .. }) | None => None,
    };
    let parts = [
        ("Detail", error.detail()),
        ("Hint", error.hint()),
        ("Position", position.as_deref()),
        ("Where", error.where_()),
    ];
    let separator = match shape {
        ErrorText::Semicolons => "; ",
        ErrorText::Lines => "\n  ",
    };
    for (name, part) in parts {
        if let Some(part) = part {
            text.extend([separator, name, ": ", part]);
        }
    }
    text.extend(["; SQLState: ", error.code().code()]);
    text
}
