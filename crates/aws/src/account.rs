//! One process's view of AWS: an account for every identity.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use tokio::sync::OnceCell;
use tracing::Instrument as _;

use crate::cache::Cache;
use crate::diagnosis::{self, diagnose};
use crate::error::{AwsError, AwsErrorKind};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::load::Loaded;
use crate::profiles::Whose;

/// Reading the files, finding credentials and assuming a role, together.
const RESOLVE: Duration = Duration::from_secs(30);

/// AWS, as one process uses it. Clones share everything.
#[derive(Clone, Default)]
pub struct Aws {
    clock: SharedTimeSource,
    accounts: Arc<Mutex<HashMap<Identity, Account>>>,
}

impl Aws {
    /// Reads and asks nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With another clock than the system's, which signatures and the end of credentials follow.
    pub fn with_clock(clock: impl TimeSource + 'static) -> Self {
        Self { clock: SharedTimeSource::new(clock), ..Self::default() }
    }

    /// The account of an identity. Nothing is read or asked until something is wanted of it.
    pub fn account(&self, identity: &Identity) -> Account {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = || Account::new(identity.clone(), self.clock.clone());
        accounts.entry(identity.clone()).or_insert_with(account).clone()
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").finish_non_exhaustive()
    }
}

/// An identity at AWS: its region and credentials, resolved when first wanted and shared by all its
/// users. What failed is looked up anew by the next who asks, files included: an `aws sso login` in
/// another window is enough.
#[derive(Clone)]
pub struct Account(Arc<Inner>);

struct Inner {
    identity: Identity,
    clock: SharedTimeSource,
    current: Mutex<Arc<Generation>>,
}

/// Everything known until something is forgotten.
#[derive(Default)]
struct Generation {
    loaded: OnceCell<Loaded>,
    cache: Cache,
}

impl Account {
    fn new(identity: Identity, clock: SharedTimeSource) -> Self {
        Self(Arc::new(Inner { identity, clock, current: Mutex::default() }))
    }

    /// Whose it is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The configuration for the SDK's clients: region, endpoint, limits, and this account as the
    /// provider of credentials, so that a client follows [`Account::forget`]. Credentials are at hand
    /// when it returns: a failure to find them is reported here, not by the client's first call.
    ///
    /// A connection takes up to 5 s, an attempt 10 s, a call with its repetitions 20 s.
    ///
    /// # Errors
    /// No region and no credentials are the person's to set; others are AWS's or the network's.
    ///
    /// # Cancel safety
    /// Safe: what was begun goes on and serves the next who asks.
    pub async fn config(&self) -> Result<SdkConfig, AwsError> {
        self.region().await?;
        self.credentials().await?;
        let generation = self.generation();
        let config = self.loaded(&generation).await?.config.to_builder();
        Ok(config.credentials_provider(SharedCredentialsProvider::new(self.clone())).build())
    }

    /// The region of calls and signatures.
    ///
    /// # Errors
    /// [`AwsErrorKind::WrongRegion`] if none is set anywhere; it names where to set it.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn region(&self) -> Result<String, AwsError> {
        let generation = self.generation();
        let loaded = self.loaded(&generation).await?;
        if let Some(region) = loaded.config.region() {
            return Ok(region.to_string());
        }
        let error = diagnosis::no_region(&loaded.whose);
        self.discard(&generation);
        Err(error)
    }

    /// Where every service is asked instead of AWS's own endpoints, if that is set anywhere.
    pub(crate) async fn endpoint_url(&self) -> Result<Option<String>, AwsError> {
        let generation = self.generation();
        Ok(self.loaded(&generation).await?.config.endpoint_url().map(str::to_owned))
    }

    /// Credentials that hold for two minutes at least, unless their source has none that do.
    ///
    /// # Errors
    /// As [`Account::config`]. Everyone who waited for the same attempt gets the same error.
    ///
    /// # Cancel safety
    /// Safe: what was begun goes on and serves the next who asks.
    pub async fn credentials(&self) -> Result<Credentials, AwsError> {
        let generation = self.generation();
        if let Some(fresh) = generation.cache.fresh(self.now()) {
            return Ok(fresh);
        }
        let (account, seen) = (self.clone(), generation.cache.seen());
        let resolution = async move {
            let clock = &account.0.clock;
            let result = generation.cache.get(seen, clock, || account.resolve(&generation)).await;
            if result.is_err() {
                account.discard(&generation);
            }
            result
        };
        tokio::spawn(resolution.in_current_span()).await.unwrap_or_else(|_| {
            Err(AwsError::new(
                AwsErrorKind::Other,
                "the look-up of AWS credentials was interrupted",
            ))
        })
    }

    /// Drops credentials and configuration: the next use reads everything anew. For whoever hears
    /// from AWS that the credentials are over.
    pub fn forget(&self) {
        *self.current() = Arc::default();
    }

    /// The time by the clock that signatures follow.
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// Who it is, as far as it is known without asking.
    pub(crate) fn whose(&self) -> Whose {
        let identity = &self.0.identity;
        self.generation().loaded.get().map_or_else(
            || Whose {
                profile: identity.profile.clone(),
                region: identity.region.clone(),
                role: identity.assume_role.as_ref().map(|role| role.role_arn.clone()),
                ..Whose::default()
            },
            |loaded| loaded.whose.clone(),
        )
    }

    async fn resolve(&self, generation: &Generation) -> Result<Credentials, AwsError> {
        let loaded = self.loaded(generation).await?;
        let Some(provider) = &loaded.provider else {
            return Err(diagnosis::no_credentials(&loaded.whose, None));
        };
        let found = tokio::time::timeout(RESOLVE, provider.provide_credentials());
        let failure = match found.await {
            Ok(Ok(credentials)) => {
                tracing::debug!(profile = loaded.whose.profile, "AWS credentials found");
                return Ok(credentials);
            }
            Ok(Err(error)) => Failure::of_credentials(&error, self.now()),
            Err(_) => Failure::TimedOut,
        };
        Err(diagnose(None, failure, &loaded.whose))
    }

    async fn loaded<'a>(&self, generation: &'a Generation) -> Result<&'a Loaded, AwsError> {
        let load = || Loaded::of(&self.0.identity, self.0.clock.clone());
        tokio::time::timeout(RESOLVE, generation.loaded.get_or_init(load))
            .await
            .map_err(|_| diagnose(None, Failure::TimedOut, &self.whose()))
    }

    fn generation(&self) -> Arc<Generation> {
        self.current().clone()
    }

    /// Forgets a generation, unless somebody has already.
    fn discard(&self, generation: &Arc<Generation>) {
        let mut current = self.current();
        if Arc::ptr_eq(&current, generation) {
            *current = Arc::default();
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Arc<Generation>> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn provide(&self) -> provider::Result {
        self.credentials().await.map_err(CredentialsError::provider_error)
    }
}

impl ProvideCredentials for Account {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}
