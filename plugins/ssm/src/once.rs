//! Calls that must not be made twice.

use std::error::Error;
use std::iter::successors;

use aws_sdk_ssm::config::interceptors::InterceptorContext;
use aws_sdk_ssm::config::retry::{ClassifyRetry, RetryAction};

/// Forbids the SDK to repeat a call that the service may have carried out: a session that was started without an answer is
/// one that nobody knows of, and ends. Left to the SDK: calls that never left, and those that were put off.
#[derive(Debug)]
pub(crate) struct OnceAtMost;

impl ClassifyRetry for OnceAtMost {
    fn classify_retry(&self, call: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = call.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let status = call.response().map(|response| response.status().as_u16());
        let harmless = match (status, error.as_connector_error()) {
            // Throttling is told in answers like other refusals; which of them, the SDK knows.
            (Some(status), _) => status < 500 || status == UNAVAILABLE,
            (None, Some(error)) => is_unsent(error),
            (None, None) => !(error.is_timeout_error() || error.is_response_error()),
        };
        if harmless { RetryAction::NoActionIndicated } else { RetryAction::RetryForbidden }
    }

    fn name(&self) -> &'static str {
        "once at most"
    }
}

/// Whether no connection came about; the error's kind does not tell, its causes' words do.
fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |error| (*error).source()).any(|cause| {
        let said = cause.to_string();
        said.contains("(Connect)") || said.contains("HTTP connect timeout")
    })
}

/// A service that says so has not begun.
const UNAVAILABLE: u16 = 503;
