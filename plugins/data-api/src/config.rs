//! What a user may set for a data-api transport.

use std::time::Duration;

use pgferry_transport_sdk::Interval;
use schemars::JsonSchema;
use serde::Deserialize;

/// Limits of the sessions. Which cluster, which secret and which database belong to the target.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long a statement waits for a paused cluster to resume. By default 60 s.
    #[serde(default)]
    pub resume_wait: Option<Interval>,
    /// How long an application may do nothing inside a transaction. Until then the transaction is kept alive, for
    /// the service would end it after three minutes; then it is rolled back. By default 10 minutes.
    #[serde(default)]
    pub idle_in_transaction: Option<Interval>,
}

impl Config {
    /// What no schema can say: the first contradiction found, in words.
    ///
    /// Errors: the user's configuration cannot work.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.idle_in_transaction.is_some_and(|limit| limit.0.is_zero()) {
            return Err("idle_in_transaction must be greater than zero".to_owned());
        }
        if self.idle_in_transaction() > LONGEST_TRANSACTION {
            return Err(
                "idle_in_transaction must be at most 24h: the service ends every transaction then"
                    .to_owned(),
            );
        }
        Ok(())
    }

    pub(crate) fn resume_wait(&self) -> Duration {
        self.resume_wait.map_or(Duration::from_mins(1), |limit| limit.0)
    }

    pub(crate) fn idle_in_transaction(&self) -> Duration {
        self.idle_in_transaction.map_or(Duration::from_mins(10), |limit| limit.0)
    }
}

/// Source: API reference of the RDS Data Service, `BeginTransaction`.
const LONGEST_TRANSACTION: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn without_settings_the_defaults_apply() {
        let config = config("{}");
        assert!(config.check().is_ok());
        assert_eq!(config.resume_wait(), Duration::from_mins(1));
        assert_eq!(config.idle_in_transaction(), Duration::from_mins(10));
    }

    #[test]
    fn a_limit_that_the_service_does_not_keep_is_refused() {
        for wrong in [r#"{"idle_in_transaction": "0s"}"#, r#"{"idle_in_transaction": "25h"}"#] {
            assert!(config(wrong).check().is_err(), "{wrong}");
        }
    }
}
