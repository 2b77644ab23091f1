//! From an identity to the SDK's configuration and its provider of credentials.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::time::SharedTimeSource;

use crate::identity::{AssumeRole, Identity};
use crate::profiles::Whose;

/// One connection to AWS, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// One attempt of a call.
const ATTEMPT: Duration = Duration::from_secs(10);
/// A call with its repetitions.
const OPERATION: Duration = Duration::from_secs(20);
const ATTEMPTS: u32 = 3;
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// What an identity comes to.
pub(crate) struct Loaded {
    /// Region, endpoint and limits. Its provider is the chain before `assume_role`, uncached.
    pub(crate) config: SdkConfig,
    /// Where credentials come from, uncached; none if the SDK found no place to look at.
    pub(crate) provider: Option<SharedCredentialsProvider>,
    pub(crate) whose: Whose,
}

impl Loaded {
    /// Reads environment and files. Credentials are not asked for yet; the region may come from the
    /// machine's metadata service.
    ///
    /// Proxies: the SDK's client takes `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub(crate) async fn of(identity: &Identity, clock: SharedTimeSource) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .time_source(clock.clone())
            .timeout_config(timeouts())
            .retry_config(retries())
            .identity_cache(IdentityCache::no_cache());
        if let Some(profile) = &identity.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &identity.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &identity.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let mut config = loader.load().await;
        if let Some(profile) = &identity.profile {
            let provider = of_profile(profile, &config, clock);
            config = config.into_builder().credentials_provider(provider).build();
        }
        let provider = match &identity.assume_role {
            Some(role) => Some(assumed(role, &config).await),
            None => config.credentials_provider(),
        };
        let whose = Whose {
            profile: identity.profile.clone(),
            region: config.region().map(ToString::to_string),
            role: identity.assume_role.as_ref().map(|role| role.role_arn.clone()),
            ..Whose::default()
        };
        Self { config, provider, whose: whose.read_files().await }
    }
}

/// A profile alone. The SDK's default chain would let keys of the environment win over it.
fn of_profile(
    name: &str,
    config: &SdkConfig,
    clock: SharedTimeSource,
) -> SharedCredentialsProvider {
    let settings = ProviderConfig::without_region()
        .with_behavior_version(Some(BehaviorVersion::latest()))
        .with_region(config.region().cloned())
        .with_time_source(clock)
        .with_retry_config(retries())
        .with_timeout_config(timeouts());
    let provider =
        ProfileFileCredentialsProvider::builder().configure(&settings).profile_name(name);
    SharedCredentialsProvider::new(provider.build())
}

async fn assumed(role: &AssumeRole, config: &SdkConfig) -> SharedCredentialsProvider {
    let mut builder = AssumeRoleProvider::builder(&role.role_arn)
        .configure(config)
        .session_name(role.session_name.as_deref().unwrap_or("pgferry"));
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    SharedCredentialsProvider::new(builder.build().await)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(LONGEST_BACKOFF)
}
