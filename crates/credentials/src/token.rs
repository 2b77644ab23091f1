//! Tokens of AWS: signed here, shared by all who log in, and never used beyond their end.

mod region;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_dsql::auth_token as dsql;
use aws_sdk_rds::auth_token as rds;
use aws_smithy_async::time::StaticTimeSource;
use aws_types::SdkConfig;
use aws_types::region::Region;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pgferry_aws::Account;
use secrecy::SecretString;

use crate::CredentialError;
use crate::lookup::Endpoint;
use crate::shared::{Held, Shared};
use region::{Signed, signed_for};

/// RDS accepts no longer one; DSQL's default. Source: "Connecting to your DB instance using IAM
/// authentication" of the RDS user guide, "Generating an authentication token" of the DSQL one.
const LIFE: Duration = Duration::from_mins(15);
/// A token is reused while this much of its life is left: a database that wakes up takes its time.
const LEFT: Duration = Duration::from_mins(1);
/// Unreserved characters stay, every other byte is encoded. Source: RFC 3986, 2.3, which Signature
/// Version 4 follows.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// DSQL's own first user.
const DSQL_ADMIN: &str = "admin";

/// Whose tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Rds,
    Dsql,
}

/// Host and port that a token is for.
type Place = (String, u16);

/// The tokens of one user.
pub(crate) struct Tokens {
    service: Service,
    user: String,
    signed: Mutex<HashMap<Place, Arc<Shared<Token>>>>,
    contradiction_told: AtomicBool,
}

#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) secret: SecretString,
    pub(crate) expires: SystemTime,
}

impl Tokens {
    pub(crate) fn new(service: Service, user: &str) -> Self {
        let (signed, contradiction_told) = (Mutex::default(), AtomicBool::new(false));
        Self { service, user: user.to_owned(), signed, contradiction_told }
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// The only one that there is. Source: "Unsupported PostgreSQL features" of the DSQL user guide.
    pub(crate) fn only_database(&self) -> Option<&'static str> {
        match self.service {
            Service::Dsql => Some("postgres"),
            Service::Rds => None,
        }
    }

    /// A token for an endpoint that holds for a minute at least and is newer than `refused`.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn get(
        &self,
        endpoint: &Endpoint,
        refused: u64,
        account: &Account,
    ) -> Result<Held<Token>, CredentialError> {
        let to = signed_for(self.service, endpoint, account.identity())?;
        self.tell_contradiction(&to);
        let key = (to.host.clone(), endpoint.port);
        let clock = account.clone();
        let usable =
            move |held: &Held<Token>| held.number > refused && held.value.holds(clock.now());
        let (service, user, port) = (self.service, self.user.clone(), endpoint.port);
        let account = account.clone();
        let sign = move || async move {
            let request = Request { service, user: &user, to: &to, port };
            Box::pin(request.sign(&account)).await
        };
        self.of(key).get_apart(usable, sign).await
    }

    fn of(&self, key: Place) -> Arc<Shared<Token>> {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(signed.entry(key).or_default())
    }

    fn tell_contradiction(&self, to: &Signed) {
        let Some(configured) = &to.instead_of else { return };
        if !self.contradiction_told.swap(true, Ordering::Relaxed) {
            let (host, region) = (&to.host, to.region.as_deref());
            tracing::warn!(
                host,
                region,
                configured,
                "the endpoint is in another region than configured: tokens are signed for its own"
            );
        }
    }
}

impl Token {
    fn holds(&self, now: SystemTime) -> bool {
        self.expires.duration_since(now).is_ok_and(|left| left >= LEFT)
    }
}

/// Everything that a signature is about.
struct Request<'a> {
    service: Service,
    user: &'a str,
    to: &'a Signed,
    port: u16,
}

impl Request<'_> {
    /// No call to AWS: keys are found, and the rest is arithmetic.
    async fn sign(&self, account: &Account) -> Result<Token, CredentialError> {
        let region = match &self.to.region {
            Some(region) => region.clone(),
            None => account.region().await?,
        };
        let credentials = account.credentials().await?;
        let now = account.now();
        let expires = credentials.expiry().map_or(now + LIFE, |end| end.min(now + LIFE));
        let clock = SdkConfig::builder().time_source(StaticTimeSource::new(now)).build();
        let host = &self.to.host;
        let secret = match self.service {
            Service::Rds => {
                let user = utf8_percent_encode(self.user, ENCODED).to_string();
                let config = rds::Config::builder().hostname(host).port(self.port.into());
                let config = config.region(Region::new(region.clone())).username(user);
                let config = config.credentials(credentials).expires_in(LIFE.as_secs()).build();
                let signer = rds::AuthTokenGenerator::new(config.map_err(not_signed)?);
                SecretString::from(signer.auth_token(&clock).await.map_err(not_signed)?.as_str())
            }
            Service::Dsql => {
                let config = dsql::Config::builder().hostname(host).expires_in(LIFE.as_secs());
                let config = config.region(Region::new(region.clone())).credentials(credentials);
                let signer = dsql::AuthTokenGenerator::new(config.build().map_err(not_signed)?);
                let token = if self.user == DSQL_ADMIN {
                    signer.db_connect_admin_auth_token(&clock).await
                } else {
                    signer.db_connect_auth_token(&clock).await
                };
                SecretString::from(token.map_err(not_signed)?.as_str())
            }
        };
        let (user, port) = (self.user, self.port);
        tracing::debug!(host, port, user, region, "a token is signed");
        Ok(Token { secret, expires })
    }
}

/// The SDK's texts are about settings, not values.
fn not_signed(error: impl std::fmt::Display) -> CredentialError {
    CredentialError::NotSigned(error.to_string())
}
