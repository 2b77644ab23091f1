//! What the SDK's errors mean for a statement, and what to tell the application: the service's own errors,
//! the way to it, and a lost answer.

use aws_sdk_rdsdata::error::{ProvideErrorMetadata, SdkError};
use pgferry_pg::SqlState;
use pgferry_transport_sdk::{Error, Status};

use crate::failure::{Effect, Failure};
use crate::fault::{Fault, state};
use crate::report;

/// A call, as IAM spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Execute,
    /// A statement that goes on after the service's limit for statements.
    ExecuteOn,
    Begin,
    Commit,
    Rollback,
}

/// A call that failed.
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    /// The credentials are not accepted; others may be.
    pub(crate) stale_keys: bool,
}

pub(crate) const PROTOCOL: SqlState = SqlState::PROTOCOL_VIOLATION;

impl Action {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Execute | Self::ExecuteOn => "rds-data:ExecuteStatement",
            Self::Begin => "rds-data:BeginTransaction",
            Self::Commit => "rds-data:CommitTransaction",
            Self::Rollback => "rds-data:RollbackTransaction",
        }
    }

    const fn executes(self) -> bool {
        matches!(self, Self::Execute | Self::ExecuteOn)
    }

    /// What is to be said if nobody knows what became of it.
    fn lost(self, why: &str) -> Failure {
        let (state, message) = match self {
            Self::Commit => (
                state::TRANSACTION_UNKNOWN.into(),
                "the answer to COMMIT was lost: whether the transaction was committed is not known",
            ),
            Self::Begin | Self::Rollback => {
                (SqlState::CONNECTION_FAILURE, "the Data API did not answer")
            }
            Self::Execute | Self::ExecuteOn => (
                SqlState::CONNECTION_FAILURE,
                "the answer of the Data API was lost: whether the statement was executed is not known",
            ),
        };
        let fault = Fault::error(state, message).with_detail(format!("{}: {why}", self.name()));
        let fault = match self {
            Self::Commit | Self::Execute | Self::ExecuteOn => {
                fault.with_hint("look at the data before you repeat it: it may be done already")
            }
            Self::Begin | Self::Rollback => fault,
        };
        Failure::new(Effect::Unknown, fault)
    }
}

/// What the SDK's error means.
pub(crate) fn of<E>(action: Action, error: &SdkError<E>, region: &str) -> Refused
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failure = match error {
        SdkError::ServiceError(context) => {
            let code = context.err().code().unwrap_or_default();
            let said = context.err().message().unwrap_or_default();
            let answer = Answer { status: context.raw().status().as_u16(), code, said };
            let stale_keys = STALE_KEYS.contains(&code);
            return Refused { failure: said_no(action, &answer, region), stale_keys };
        }
        SdkError::TimeoutError(_) => action.lost("no answer in time"),
        other => unanswered(action, other, region),
    };
    Refused { failure, stale_keys: false }
}

/// What came instead of a result.
struct Answer<'a> {
    /// Of HTTP.
    status: u16,
    /// Empty if the service itself did not answer.
    code: &'a str,
    said: &'a str,
}

/// Source: API reference of the RDS Data Service, `ExecuteStatement`, errors; user guide of Aurora,
/// "Troubleshooting Amazon RDS Data API issues".
fn said_no(action: Action, answer: &Answer<'_>, region: &str) -> Failure {
    let Answer { status, code, said } = *answer;
    if let Some(fault) = report::parse(said) {
        // The service wants all values in binary, which some types do not have.
        let unwritable = fault.message.starts_with("no binary output function available");
        let effect = if unwritable { Effect::Unwritable } else { Effect::Refused };
        return Failure::new(effect, fault);
    }
    let quoted = quote(said);
    let lower = said.to_ascii_lowercase();
    if lower.contains("size limit") || lower.contains("packet for query is too large") {
        return too_large(&quoted);
    }
    match code {
        "UnsupportedResultException" => unwritable(&quoted),
        "DatabaseErrorException" | "BadRequestException" if lower.contains("multidimensional") => {
            unwritable(&quoted)
        }
        // Dates of infinity, for one, have no other answer than this, and it has no text.
        "InternalFailure" | "InternalServerErrorException" if action.executes() => {
            let mut failure = action.lost(&format!("{code} {quoted}"));
            if said.is_empty() {
                failure.effect = Effect::Unwritable;
            }
            failure
        }
        "InternalFailure" | "InternalServerErrorException" => action.lost(code),
        "StatementTimeoutException" => timed_out(action),
        "DatabaseResumingException" => Failure::new(
            Effect::NotYet,
            Fault::error(SqlState::CANNOT_CONNECT_NOW, "the cluster is resuming from its pause")
                .with_hint("try again in half a minute, or set resume_wait for this transport"),
        ),
        // The database may have gone away before or after it did what was asked.
        "DatabaseUnavailableException" | "ServiceUnavailableError"
            if action.executes() || action == Action::Commit =>
        {
            action.lost(&format!("the database is not available: {quoted}"))
        }
        "DatabaseUnavailableException" | "ServiceUnavailableError" => Failure::new(
            Effect::NotYet,
            Fault::error(
                SqlState::CANNOT_CONNECT_NOW,
                format!("the database is not available: {quoted}"),
            )
            .with_hint("look at the cluster's events: it may be failing over or restarting"),
        ),
        "TransactionNotFoundException" | "NotFoundException" => transaction_gone(&quoted),
        "DatabaseErrorException" if lower.contains("still running a query") => {
            Failure::new(Effect::Refused, Fault::error(SqlState::SYSTEM_ERROR, quoted))
        }
        // PostgreSQL's errors have a code: this one is about the service's way to it.
        "DatabaseErrorException" => action.lost(&quoted),
        _ if THROTTLED.iter().any(|word| code.contains(word)) => Failure::new(
            Effect::NotYet,
            Fault::error(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("the Data API asks for fewer calls: {} ({region})", action.name()),
            ),
        ),
        "" if !(400..500).contains(&status) => {
            action.lost(&format!("HTTP status {status} without an error of the service"))
        }
        _ => never(action, code, &quoted, region),
    }
}

/// What is mended in the account or in the configuration.
fn never(action: Action, code: &str, quoted: &str, region: &str) -> Failure {
    let name = action.name();
    let denied = |message: String| Fault::error(SqlState::INVALID_AUTHORIZATION, message);
    let fault = match code {
        code if STALE_KEYS.contains(&code) => denied(format!(
            "AWS does not accept the credentials: {name}: {quoted}"
        ))
        .with_hint("renew the credentials where they come from, and check this computer's clock"),
        "AccessDeniedException" | "AccessDenied" | "ForbiddenException" => denied(format!(
            "this AWS identity may not {name}: {quoted}"
        ))
        .with_hint(
            "allow rds-data:* on the cluster and secretsmanager:GetSecretValue on its secret to \
                 this identity in IAM",
        ),
        "InvalidSecretException" | "SecretsErrorException" => {
            denied(format!("the Data API cannot use the secret: {quoted}")).with_hint(
                "the secret has to hold username and password of a database user, and this AWS \
                 identity has to be allowed to read it",
            )
        }
        "HttpEndpointNotEnabledException" => http_endpoint(quoted),
        "BadRequestException" if quoted.contains("HttpEndpoint") => http_endpoint(quoted),
        "DatabaseNotFoundException" => {
            Fault::error(SqlState::UNABLE_TO_CONNECT, format!("no such cluster: {quoted}"))
                .with_hint(format!("check the cluster's ARN, and that it is in {region}"))
        }
        "InvalidResourceStateException" => Fault::error(
            SqlState::CANNOT_CONNECT_NOW,
            format!("the cluster cannot be used: {quoted}"),
        )
        .with_hint("start the cluster, or wait until it has been modified"),
        "ValidationException" | "BadRequestException" => {
            Fault::unsupported(format!("the Data API does not take this statement: {quoted}"))
        }
        "" => Fault::error(
            SqlState::UNABLE_TO_CONNECT,
            format!("something else than AWS answered {name} ({region})"),
        )
        .with_hint("check endpoint_url and HTTPS_PROXY"),
        _ => Fault::error(SqlState::SYSTEM_ERROR, format!("{name} failed: {code}: {quoted}")),
    };
    Failure::new(Effect::Never, fault)
}

fn http_endpoint(quoted: &str) -> Fault {
    let message = format!("the cluster's Data API is switched off: {quoted}");
    Fault::error(SqlState::CONNECTION_REJECTED, message)
        .with_hint("switch it on: aws rds enable-http-endpoint --resource-arn <the cluster's ARN>")
}

fn too_large(quoted: &str) -> Failure {
    let fault = Fault::error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("the Data API does not hand out a result of this size: {quoted}"),
    );
    Failure::new(
        Effect::TooLarge,
        fault.with_hint("the limits are 1 MB for a result and 64 KB for a row"),
    )
}

fn unwritable(quoted: &str) -> Failure {
    let fault = Fault::unsupported(format!("the Data API cannot write this result: {quoted}"))
        .with_hint("cast the column to text");
    Failure::new(Effect::Unwritable, fault)
}

fn timed_out(action: Action) -> Failure {
    if action == Action::Commit {
        return action.lost("the Data API's limit of 45 seconds");
    }
    if action == Action::ExecuteOn {
        let fault = Fault::error(
            SqlState::CONNECTION_FAILURE,
            "the statement goes on in the database, but the Data API stopped waiting after 45 seconds",
        );
        let hint = "look for it in pg_stat_activity, and at what it has done, before you repeat it";
        return Failure::new(Effect::Unknown, fault.with_hint(hint));
    }
    let fault = Fault::error(
        SqlState::QUERY_CANCELED,
        "canceling statement due to the Data API's limit of 45 seconds",
    );
    let hint = "split the statement, or use a transport that reaches the database's port";
    Failure::new(Effect::Refused, fault.with_hint(hint))
}

/// The work is undone, whatever the reason: going on without a transaction would save the rest of it alone.
fn transaction_gone(quoted: &str) -> Failure {
    let fault = Fault::error(
        state::IDLE_IN_TRANSACTION.into(),
        format!("the transaction does not exist any more: {quoted}"),
    )
    .with_hint("everything it did is undone; begin a new one");
    Failure::new(Effect::TransactionGone, fault)
}

/// There was no answer, or nothing to make the call with.
fn unanswered<E>(action: Action, error: &SdkError<E>, region: &str) -> Failure
where
    E: std::error::Error + 'static,
{
    let chain = || std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    // The program's own words about credentials come back through the SDK.
    if let Some(own) = chain().find_map(|cause| cause.downcast_ref::<Error>()) {
        return Failure::new(Effect::Never, own_words(own));
    }
    let mut causes: Vec<String> = chain().map(ToString::to_string).collect();
    causes.dedup();
    // hyper-util says this, and nothing else, if there was no connection to send anything over.
    let unconnected = causes.iter().any(|cause| cause == "client error (Connect)");
    let causes = quote(&causes.join(": "));
    if unconnected || matches!(error, SdkError::ConstructionFailure(_)) {
        let words = format!("AWS is not reachable: {} ({region}): {causes}", action.name());
        let fault = Fault::error(SqlState::UNABLE_TO_CONNECT, words)
            .with_hint("check the network, a VPN, and whether HTTPS_PROXY is needed");
        return Failure::new(Effect::NotYet, fault);
    }
    action.lost(&causes)
}

fn own_words(error: &Error) -> Fault {
    let state = match error.status() {
        Status::AUTH | Status::DENIED => SqlState::INVALID_AUTHORIZATION,
        Status::TIMEOUT | Status::UNREACHABLE => SqlState::UNABLE_TO_CONNECT,
        _ => SqlState::SYSTEM_ERROR,
    };
    let fault = Fault::error(state, error.message());
    match error.hint() {
        Some(hint) => fault.with_hint(hint),
        None => fault,
    }
}

/// Foreign text inside our own: one line, and no longer than a line.
fn quote(text: &str) -> String {
    let plain = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = plain.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(240).collect()
}

const STALE_KEYS: [&str; 6] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
];
const THROTTLED: [&str; 3] = ["Throttl", "TooManyRequests", "LimitExceeded"];

#[cfg(test)]
mod tests;
