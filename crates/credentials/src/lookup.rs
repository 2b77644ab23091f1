//! The endpoint of a database that is named, asked for once and kept until it may have moved.

mod verdict;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pgferry_aws::discovery::{self, Found};
use pgferry_aws::{Account, AwsError, AwsErrorKind};

use crate::renewal::with_renewal;
use crate::shared::Shared;
use crate::{CredentialError, Location, Role};
use verdict::verdict;

/// RDS is asked again no sooner, however many sessions are lost at once. Its names do not change in
/// a failover, and a client that asks all the time is throttled together with everyone in its account.
const PAUSE: Duration = Duration::from_secs(30);

/// A database's location, and what RDS has told of it.
pub(crate) struct Lookup {
    location: Location,
    /// What RDS can be asked for.
    query: Option<Query>,
    account: Account,
    /// Whether logins need IAM authentication to be on.
    iam: bool,
    found: Arc<Shared<Found>>,
    /// The cluster that the instance found belongs to.
    of_cluster: Arc<Shared<Found>>,
    moved: AtomicBool,
    asked: Mutex<Option<SystemTime>>,
}

#[derive(Clone, Debug)]
enum Query {
    Cluster(String),
    Instance(String),
    Host(String),
}

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether RDS, as the account asks it, has told it: then it is in the account's region.
    pub(crate) told: bool,
}

impl Lookup {
    pub(crate) fn new(location: Location, account: Account, iam: bool) -> Self {
        let query = match &location {
            Location::Host { host, .. } => Some(Query::Host(host.clone())),
            Location::Cluster { name, .. } => Some(Query::Cluster(name.clone())),
            Location::Instance { name, .. } => Some(Query::Instance(name.clone())),
            Location::Secret { .. } => None,
        };
        let (found, of_cluster) = (Arc::default(), Arc::default());
        let (moved, asked) = (AtomicBool::new(false), Mutex::default());
        Self { location, query, account, iam, found, of_cluster, moved, asked }
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// The next who asks has RDS asked, if that was not a moment ago.
    pub(crate) fn moved(&self) {
        self.moved.store(true, Ordering::Release);
        self.of_cluster.clear();
    }

    /// What RDS has told will not do: the next who asks has it asked again.
    pub(crate) fn forget(&self) {
        self.found.clear();
        self.of_cluster.clear();
    }

    /// `None` where only the secret knows it.
    pub(crate) async fn endpoint(&self) -> Result<Option<Endpoint>, CredentialError> {
        let (role, port) = match &self.location {
            Location::Secret { .. } => return Ok(None),
            Location::Host { host, port } => {
                return Ok(Some(Endpoint { host: host.clone(), port: *port, told: false }));
            }
            Location::Cluster { role, port, .. } => (*role, *port),
            Location::Instance { port, .. } => (Role::Writer, *port),
        };
        let found = self.found().await?;
        let host = match role {
            Role::Writer => found.writer,
            Role::Reader => found.reader,
        };
        let Some(host) = host else {
            let what = self.location.to_string();
            return Err(CredentialError::NoEndpoint { what, status: found.status });
        };
        Ok(Some(Endpoint { host, port: port.unwrap_or(found.port), told: true }))
    }

    /// The secret that RDS manages for the database: an instance's own, or else its cluster's.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn managed_secret(&self) -> Result<String, CredentialError> {
        let found = self.found().await?;
        let secret = match (found.secret_arn, found.cluster) {
            (Some(secret), _) => Some(secret),
            (None, Some(cluster)) => {
                self.cluster_of(cluster, |cluster| cluster.secret_arn.is_some()).await?.secret_arn
            }
            (None, None) => None,
        };
        secret.ok_or_else(|| CredentialError::NotManaged(self.location.to_string()))
    }

    /// The cluster, or the one that the instance belongs to. An instance without one is itself.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn cluster(&self) -> Result<Found, CredentialError> {
        let found = self.found().await?;
        match found.cluster.clone() {
            Some(cluster) => self.cluster_of(cluster, |cluster| cluster.data_api).await,
            None => Ok(found),
        }
    }

    /// What was told of it serves as long as it is `enough`.
    async fn cluster_of(
        &self,
        cluster: String,
        enough: impl Fn(&Found) -> bool + Send + 'static,
    ) -> Result<Found, CredentialError> {
        let account = self.account.clone();
        let ask = move || async move {
            let ask = || discovery::find_cluster(&cluster, &account);
            Ok(with_renewal(&account, ask).await?)
        };
        let held = self.of_cluster.get_apart(move |held| enough(&held.value), ask).await?;
        Ok(held.value)
    }

    /// What RDS tells, or has told if it cannot be asked again.
    async fn found(&self) -> Result<Found, CredentialError> {
        let Some(query) = self.query.clone() else { return Err(CredentialError::NoHost) };
        let now = self.account.now();
        let again = self.moved.load(Ordering::Acquire) && self.may_ask(now);
        let after = if again { self.found.last() } else { 0 };
        let known = self.found.held().map(|held| held.value);
        let (account, iam) = (self.account.clone(), self.iam);
        if known.is_none() || again {
            self.moved.store(false, Ordering::Release);
            *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        let ask = move || async move {
            let found = match with_renewal(&account, || query.ask(&account)).await {
                Ok(found) => found,
                Err(error) => return last_known(known, error),
            };
            verdict(&found, iam)?;
            let (name, writer) = (&found.name, &found.writer);
            tracing::debug!(name, writer, port = found.port, "RDS told the endpoint");
            Ok(found)
        };
        let answer = self.found.get_apart(move |held| held.number > after, ask).await;
        if answer.is_err() {
            self.found.clear();
        }
        answer.map(|held| held.value)
    }

    fn may_ask(&self, now: SystemTime) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back counts as a pause, too.
        asked.and_then(|asked| now.duration_since(asked).ok()).is_none_or(|pause| pause >= PAUSE)
    }
}

/// A name that was right goes on being used where RDS cannot be asked.
fn last_known(known: Option<Found>, error: AwsError) -> Result<Found, CredentialError> {
    match known {
        Some(found) if *error.kind() != AwsErrorKind::NotFound => {
            let name = &found.name;
            tracing::warn!(name, %error, "RDS did not tell the endpoint: the last known serves");
            Ok(found)
        }
        _ => Err(error.into()),
    }
}

impl Query {
    async fn ask(&self, account: &Account) -> Result<Found, AwsError> {
        match self {
            Self::Cluster(name) => discovery::find_cluster(name, account).await,
            Self::Instance(name) => discovery::find_instance(name, account).await,
            Self::Host(host) => discovery::find_by_host(host, account).await,
        }
    }
}
