//! User and password from AWS Secrets Manager, through rotations.

mod tries;
mod version;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Builder, Region};
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::{
    GetSecretValueError, GetSecretValueOutput,
};
use pgferry_aws::{Account, AwsError, AwsErrorKind};
use zeroize::Zeroizing;

use crate::lookup::Lookup;
use crate::renewal::with_renewal;
use crate::shared::{Held, Shared};
use crate::{CredentialError, Secret};
pub(crate) use tries::Tries;
use tries::{Snapshot, Step};
use version::{Raw, Version};

/// So long a secret is believed without a look. A refusal has it looked at sooner.
const KEPT: Duration = Duration::from_secs(870);
/// So soon it is looked at again where that failed.
const AGAIN: Duration = Duration::from_mins(1);
/// The labels of versions. Source: `GetSecretValue` of the Secrets Manager API reference.
const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

/// A secret, as all sessions of a target share it.
pub(crate) struct Secrets {
    wanted: Arc<Secret>,
    fetched: Arc<Shared<Snapshot>>,
    /// The versions that the database has refused.
    refused: Mutex<Vec<String>>,
}

impl Secrets {
    pub(crate) fn new(wanted: Secret) -> Self {
        Self { wanted: Arc::new(wanted), fetched: Arc::default(), refused: Mutex::default() }
    }

    /// The version that `tries` has not shown yet, after whatever wait that takes.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn next(
        &self,
        tries: &mut Tries,
        lookup: &Lookup,
    ) -> Result<Option<Version>, CredentialError> {
        let Some(given) = tries.given.clone() else {
            let held = self.fetch(0, lookup).await?;
            let which = held.value.first(&self.refused());
            return Ok(Some(give(tries, &held, which)));
        };
        tries.refuse();
        self.refuse(given);
        loop {
            let held = self.fetch(tries.seen, lookup).await?;
            tries.seen = held.number;
            match tries.step(&held.value) {
                Step::Give(which) => return Ok(Some(give(tries, &held, which))),
                Step::Wait(wait) => tokio::time::sleep(jittered(wait)).await,
                Step::Over => return Ok(None),
            }
        }
    }

    /// A snapshot that is newer than `seen`, or any that is fresh if nothing has been seen.
    async fn fetch(&self, seen: u64, lookup: &Lookup) -> Result<Held<Snapshot>, CredentialError> {
        let account = lookup.account().clone();
        let clock = account.clone();
        // By the time of the judgement: what others have fetched meanwhile is not from the future.
        let usable = move |held: &Held<Snapshot>| {
            let age = clock.now().duration_since(held.value.fetched);
            held.number > seen && age.is_ok_and(|age| age < held.value.believed)
        };
        if let Some(held) = self.fetched.held().filter(&usable) {
            return Ok(held);
        }
        let id = match &self.wanted.id {
            Some(id) => id.clone(),
            None => lookup.managed_secret().await?,
        };
        let before = self.fetched.held().map(|held| held.value);
        let fetch = Fetch {
            id,
            account,
            wanted: Arc::clone(&self.wanted),
            refused: self.refused().clone(),
            before,
        };
        let fetch = move || Box::pin(fetch.run_or_go_on(seen == 0));
        self.fetched.get_apart(usable, fetch).await
    }

    /// Remembers it for those who come later, as long as it is one that counts.
    fn refuse(&self, version: String) {
        let held = self.fetched.held().map(|held| held.value);
        let mut refused = self.refused();
        refused.retain(|id| {
            held.as_ref().is_some_and(|held| {
                held.current.id == *id || held.pending.as_ref().is_some_and(|it| it.id == *id)
            })
        });
        if !refused.contains(&version) {
            refused.push(version);
        }
    }

    fn refused(&self) -> MutexGuard<'_, Vec<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give(tries: &mut Tries, held: &Held<Snapshot>, which: tries::Which) -> Version {
    let version = held.value.version(which).clone();
    if which == tries::Which::Pending {
        tracing::info!(version = version.id, "the secret is being rotated: AWSPENDING is tried");
    }
    tries.seen = held.number;
    tries.given = Some(version.id.clone());
    version
}

/// So that those who were refused together do not come again together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.75..1.25))
}

/// One look at a secret.
struct Fetch {
    id: String,
    account: Account,
    wanted: Arc<Secret>,
    refused: Vec<String>,
    before: Option<Snapshot>,
}

impl Fetch {
    /// Where AWS cannot be asked, a secret that nobody has refused is believed for longer.
    async fn run_or_go_on(self, unrefused: bool) -> Result<Snapshot, CredentialError> {
        let error = match self.run().await {
            Ok(snapshot) => return Ok(snapshot),
            Err(error) => error,
        };
        let CredentialError::Aws(of_aws) = &error else { return Err(error) };
        let no_answer = matches!(
            of_aws.kind(),
            AwsErrorKind::Unreachable | AwsErrorKind::Proxy | AwsErrorKind::Throttled
        );
        match self.before {
            Some(before) if unrefused && no_answer => {
                tracing::warn!(%error, "the secret was not fetched again: the last known serves");
                Ok(Snapshot { fetched: self.account.now(), believed: AGAIN, ..before })
            }
            _ => Err(error),
        }
    }

    async fn run(&self) -> Result<Snapshot, CredentialError> {
        let read = |raw| Version::read(raw, &self.wanted);
        let current = read(self.get(CURRENT).await?)?;
        let pending = if self.refused.contains(&current.id) {
            self.pending().await?.map(read).transpose()
        } else {
            Ok(None)
        };
        let pending = pending.unwrap_or_else(|error| {
            tracing::warn!(%error, "AWSPENDING is not used");
            None
        });
        let now = self.account.now();
        let before = self.before.as_ref();
        let changed = match before {
            Some(before) if before.current.id != current.id => Some(now),
            before => before.and_then(|before| before.changed),
        };
        tracing::debug!(secret = self.id, version = current.id, "the secret is fetched");
        Ok(Snapshot {
            fetched: now,
            believed: KEPT,
            pending: pending.filter(|pending| pending.id != current.id),
            current,
            changed,
            managed: is_managed(&self.id),
        })
    }

    /// There may be none, and it may be nobody's to read but the rotation's.
    async fn pending(&self) -> Result<Option<Raw>, AwsError> {
        match self.get(PENDING).await {
            Ok(raw) => Ok(Some(raw)),
            Err(error) => match error.kind() {
                AwsErrorKind::NotFound => Ok(None),
                AwsErrorKind::AccessDenied { .. } => {
                    tracing::warn!(%error, "AWSPENDING may not be read: a rotation is waited for");
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    }

    async fn get(&self, stage: &'static str) -> Result<Raw, AwsError> {
        let output = with_renewal(&self.account, || Box::pin(self.ask(stage))).await?;
        let created = output.created_date.and_then(|date| date.try_into().ok());
        Ok(Raw {
            secret: self.id.clone(),
            id: output.version_id.unwrap_or_default(),
            created,
            text: output.secret_string.map(Zeroizing::new),
        })
    }

    async fn ask(&self, stage: &'static str) -> Result<GetSecretValueOutput, AwsError> {
        let config = self.account.config().await?;
        let mut config = Builder::from(&config);
        if let Some(region) = region(&self.id) {
            config = config.region(Region::new(region.to_owned()));
        }
        let client = Client::from_conf(config.build());
        let request = client.get_secret_value().secret_id(&self.id).version_stage(stage);
        let error = |error: SdkError<GetSecretValueError>| {
            AwsError::from_sdk("secretsmanager", "GetSecretValue", &error, &self.account)
        };
        request.send().await.map_err(error)
    }
}

/// An ARN says where the secret is: `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`.
fn region(id: &str) -> Option<&str> {
    let mut parts = id.split(':');
    let (arn, service) = (parts.next()?, parts.nth(1)?);
    let region = parts.next()?;
    (arn == "arn" && service == "secretsmanager" && !region.is_empty()).then_some(region)
}

/// Source: "Password management with Amazon RDS and AWS Secrets Manager" of the RDS user guide: names
/// begin with `rds!`.
fn is_managed(id: &str) -> bool {
    let name = id.split_once(":secret:").map_or(id, |(_, name)| name);
    name.starts_with("rds!")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:rds!db-1-AbCdEf";

    #[test]
    fn an_arn_says_the_region_of_its_secret() {
        assert_eq!(region(ARN), Some("us-gov-west-1"));
        assert_eq!(region("prod/db"), None);
        assert_eq!(region("arn:aws:iam::123456789012:role/x"), None);
    }

    #[test]
    fn a_secret_that_rds_manages_is_known_by_its_name() {
        assert!(is_managed(ARN) && is_managed("rds!cluster-1"));
        assert!(!is_managed("prod/rds!") && !is_managed("arn:aws:secretsmanager:r:1:secret:app-x"));
    }
}
