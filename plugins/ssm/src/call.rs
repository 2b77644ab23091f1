//! The calls of Systems Manager.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::config::timeout::TimeoutConfig;
use aws_sdk_ssm::config::{BehaviorVersion, IdentityCache, Region};
use aws_sdk_ssm::operation::start_session::StartSessionOutput;
use aws_sdk_ssm::types::InstanceInformationStringFilter;
use pgferry_transport_aws::{Account, Keys, Program, Proxy, Roots, http_client, provider};
use pgferry_transport_sdk::Error;

use crate::config::Config;
use crate::destination::Destination;
use crate::failure::{Action, CallError};
use crate::once::OnceAtMost;

/// The calls, with the account they are made in.
pub(crate) struct Calls {
    client: Client,
    region: String,
}

/// A session that the service has started, or goes on with.
pub(crate) struct Ticket {
    pub(crate) session: String,
    /// Good for one dial, soon. A secret.
    pub(crate) token: String,
    pub(crate) url: String,
}

impl Calls {
    /// Makes no call.
    ///
    /// Errors: denied, about certificates or the proxy.
    pub(crate) fn new<P: Program>(
        account: &Account,
        roots: &Roots,
        proxy: Option<&Proxy>,
        keys: &Arc<Keys<P>>,
    ) -> Result<Self, Error> {
        let mut builder = aws_sdk_ssm::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(account.region.clone()))
            .http_client(http_client(roots, proxy)?)
            .credentials_provider(provider(keys))
            .identity_cache(IdentityCache::no_cache())
            .timeout_config(timeouts())
            .retry_config(retries());
        if let Some(url) = &account.endpoint_url {
            builder = builder.endpoint_url(url);
        }
        Ok(Self { client: Client::from_conf(builder.build()), region: account.region.clone() })
    }

    /// Starts a session to `to` on the managed node `node`.
    pub(crate) async fn start(
        &self,
        node: &str,
        to: &Destination,
        config: &Config,
    ) -> Result<Ticket, CallError> {
        let mut call = self
            .client
            .start_session()
            .target(node)
            .document_name(config.document())
            .reason(config.reason())
            .parameters("portNumber", vec![to.port.to_string()]);
        if config.forwards() {
            call = call.parameters("localPortNumber", vec!["0".to_owned()]);
        }
        if config.names_host() {
            call = call.parameters("host", vec![to.host.clone()]);
        }
        let cautious = aws_sdk_ssm::config::Config::builder()
            .timeout_config(patient_timeouts())
            .retry_classifier(OnceAtMost);
        let call = call.customize().config_override(cautious);
        let started = call.send().await.map_err(|error| self.failed(Action::Start, &error))?;
        let StartSessionOutput { session_id, token_value, stream_url, .. } = started;
        match (session_id, token_value, stream_url) {
            (Some(session), Some(token), Some(url)) => Ok(Ticket { session, token, url }),
            _ => Err(CallError::strange(Action::Start)),
        }
    }

    /// Asks for another token for a session. None: the session is over.
    pub(crate) async fn resume(&self, session: &str) -> Result<Option<String>, CallError> {
        let call = self.client.resume_session().session_id(session);
        match call.send().await {
            Ok(resumed) => Ok(resumed.token_value.filter(|token| !token.is_empty())),
            Err(error) => match self.failed(Action::Resume, &error) {
                CallError::Gone => Ok(None),
                failed => Err(failed),
            },
        }
    }

    /// Ends a session.
    pub(crate) async fn terminate(&self, session: &str) -> Result<(), CallError> {
        let call = self.client.terminate_session().session_id(session);
        call.send().await.map_err(|error| self.failed(Action::Terminate, &error))?;
        Ok(())
    }

    /// The ids of the nodes with these tags whose agents are online, in order.
    pub(crate) async fn online(
        &self,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, CallError> {
        let tags = tags.iter().map(|(key, value)| (format!("tag:{key}"), value.as_str()));
        let filters = tags
            .chain(std::iter::once(("PingStatus".to_owned(), "Online")))
            .map(|(key, value)| {
                InstanceInformationStringFilter::builder().key(key).values(value).build()
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CallError::strange(Action::Describe))?;
        let call = self.client.describe_instance_information().set_filters(Some(filters));
        let mut pages = call.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(node) = pages.next().await {
            let node = node.map_err(|error| self.failed(Action::Describe, &error))?;
            found.extend(node.instance_id);
            if found.len() >= MOST_NODES {
                break;
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn failed<E>(&self, action: Action, error: &aws_sdk_ssm::error::SdkError<E>) -> CallError
    where
        E: aws_sdk_ssm::error::ProvideErrorMetadata + std::error::Error + 'static,
    {
        CallError::of(action, error, &self.region)
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(CALL_LIMIT)
        .build()
}

/// For a call that must not be given up while it may still be answered.
fn patient_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(CALL_LIMIT)
        .operation_attempt_timeout(CALL_LIMIT)
        .operation_timeout(CALL_LIMIT)
        .build()
}

const CALL_LIMIT: Duration = Duration::from_secs(25);

/// The SDK knows AWS's words for throttling, and waits with jitter.
fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(4).with_max_backoff(Duration::from_secs(5))
}

/// More are no better to choose from.
const MOST_NODES: usize = 200;
