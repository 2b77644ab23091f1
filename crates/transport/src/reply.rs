//! A plugin's answer, copied out of the call that brought it.

use std::time::Duration;

use pgferry_transport_abi as abi;
use serde_json::Value;

use crate::Status;
use crate::connection::Detail;
use crate::error::Failure;
use crate::text::{MESSAGE, bounded};

/// What a plugin answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    pub(crate) socket: abi::Sock,
    pub(crate) message: String,
    /// The detail, if it was a JSON object; null otherwise.
    pub(crate) detail: Value,
}

impl Reply {
    pub(crate) fn new(status: Status, socket: abi::Sock, [message, detail]: [&[u8]; 2]) -> Self {
        Self {
            status,
            socket,
            message: bounded(message, MESSAGE),
            detail: serde_json::from_slice(detail).unwrap_or_default(),
        }
    }

    pub(crate) fn into_failure(self) -> Failure {
        let word = |key: &str| string(&self.detail, key);
        for key in ["aws_code", "request_id"] {
            if let Some(value) = word(key) {
                tracing::debug!(key, value, "detail of a failed open");
            }
        }
        let message = if self.message.is_empty() {
            format!("{}, without a reason", self.status)
        } else {
            self.message.clone()
        };
        Failure {
            status: self.status,
            message,
            hint: word("hint"),
            retry_after: self
                .detail
                .get("retry_after_ms")
                .and_then(Value::as_u64)
                .map(|milliseconds| Duration::from_millis(milliseconds).min(LONGEST_RETRY)),
        }
    }
}

impl Detail {
    pub(crate) fn read(detail: &Value) -> Self {
        Self {
            peer: string(detail, "peer"),
            via: string(detail, "via"),
            session_id: string(detail, "session_id"),
        }
    }
}

fn string(detail: &Value, key: &str) -> Option<String> {
    let text = detail.get(key)?.as_str()?;
    Some(bounded(text.as_bytes(), MESSAGE))
}

/// Longer than any client waits.
const LONGEST_RETRY: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_of_an_error_gives_hint_and_retry() {
        let detail = br#"{"hint":"allow ssm:StartSession","retry_after_ms":1500,"new":[1]}"#;
        let failure = Reply::new(Status::Throttled, -1, [b"slow down", detail]).into_failure();
        assert_eq!(failure.hint.as_deref(), Some("allow ssm:StartSession"));
        assert_eq!(failure.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!(failure.message, "slow down");
    }

    #[test]
    fn a_detail_that_is_no_json_is_ignored() {
        let failure = Reply::new(Status::Auth, -1, [b"", b"{nope"]).into_failure();
        assert_eq!((failure.hint, failure.retry_after), (None, None));
        assert_eq!(failure.message, "auth, without a reason");
    }
}
