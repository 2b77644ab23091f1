//! Who we are to AWS, and where AWS is: what the program hands over, kept until it nears its end.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use pgferry_transport_sdk::Error;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;

use crate::environment::Environment;

/// Where AWS is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Account {
    pub(crate) region: String,
    /// Instead of the service's own address.
    #[serde(default)]
    pub(crate) endpoint_url: Option<String>,
    /// The certificates to trust instead of the system's.
    #[serde(default)]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// The proxy on the way to everything that is reached by TLS.
    #[serde(default)]
    pub(crate) https_proxy: Option<String>,
}

impl Account {
    /// Asks the program for it.
    ///
    /// Errors: the program's; internal if it is none of what the contract says.
    pub(crate) async fn ask(environment: &impl Environment) -> Result<Self, Error> {
        let text = environment.secret("aws:config").await?;
        let account: Self = serde_json::from_str(&text)
            .map_err(|error| Error::internal(format!("the program's aws:config: {error}")))?;
        if account.region.is_empty() {
            return Err(Error::denied("no AWS region is known for this transport").with_hint(
                "set region for it, AWS_REGION, or region in the profile of ~/.aws/config",
            ));
        }
        Ok(account)
    }

    /// Whether the person has chosen to speak to AWS without TLS, which only simulations of it allow.
    pub(crate) fn is_plain(&self) -> bool {
        self.endpoint_url.as_ref().is_some_and(|url| url.starts_with("http://"))
    }
}

/// The credentials, asked for again when they near their end.
pub(crate) struct Keys<E> {
    environment: E,
    kept: Mutex<Option<Credentials>>,
}

impl<E: Environment> Keys<E> {
    pub(crate) fn new(environment: E) -> Self {
        Self { environment, kept: Mutex::new(None) }
    }

    /// Credentials that can be used now.
    ///
    /// Errors: the program's, in its words.
    ///
    /// Cancel safety: nothing is lost.
    pub(crate) async fn current(&self) -> Result<Credentials, Error> {
        let mut kept = self.kept.lock().await;
        let now = self.environment.now();
        if let Some(keys) = kept.as_ref().filter(|keys| is_fresh(keys, now)) {
            return Ok(keys.clone());
        }
        let text = self.environment.secret("aws:credentials").await?;
        let keys = parse(&text)?;
        *kept = Some(keys.clone());
        Ok(keys)
    }

    /// They have been refused: the next caller gets others.
    pub(crate) async fn forget(&self) {
        *self.kept.lock().await = None;
    }
}

impl<E> fmt::Debug for Keys<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// As the SDK asks for them.
pub(crate) struct Provider<E>(pub(crate) std::sync::Arc<Keys<E>>);

impl<E> fmt::Debug for Provider<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

impl<E: Environment> ProvideCredentials for Provider<E> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let keys: provider::Result =
                self.0.current().await.map_err(CredentialsError::provider_error);
            keys
        })
    }
}

fn is_fresh(keys: &Credentials, now: SystemTime) -> bool {
    keys.expiry().is_none_or(|ends| ends > now + MARGIN)
}

/// Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
fn parse(text: &str) -> Result<Credentials, Error> {
    let wrong = |what: &str| Error::internal(format!("the program's aws:credentials: {what}"));
    // The parser's own words may quote the text.
    let output: Output = serde_json::from_str(text).map_err(|_| wrong("not what was expected"))?;
    if output.version != 1 {
        return Err(wrong("of an unknown version"));
    }
    let expires = output.expiration.as_deref().map(|text| OffsetDateTime::parse(text, &Rfc3339));
    let expires = expires.transpose().map_err(|_| wrong("its end is no time"))?;
    Ok(Credentials::new(
        output.access_key_id,
        output.secret_access_key,
        output.session_token,
        expires.map(SystemTime::from),
        "pgferry",
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    version: u8,
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: Option<String>,
    #[serde(default)]
    expiration: Option<String>,
}

/// A call with its repetitions, and the answer's way, have to fit in.
const MARGIN: Duration = Duration::from_mins(2);

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = r#"{"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"s3cret","SessionToken":"t","Expiration":"2026-01-02T03:04:05Z"}"#;

    #[test]
    fn the_output_of_a_credential_process_is_read_with_its_end() {
        let keys = parse(KEYS).unwrap();
        assert_eq!((keys.access_key_id(), keys.session_token()), ("AKIA", Some("t")));
        let ends = keys.expiry().unwrap();
        let ends = ends.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(ends, 1_767_323_045);
    }

    #[test]
    fn keys_without_an_end_never_near_it() {
        let keys = parse(r#"{"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"s"}"#).unwrap();
        assert!(is_fresh(&keys, SystemTime::UNIX_EPOCH));
    }

    #[test]
    fn keys_are_asked_for_again_before_their_end() {
        let keys = parse(KEYS).unwrap();
        let ends = keys.expiry().unwrap();
        assert!(is_fresh(&keys, ends - Duration::from_mins(5)));
        assert!(!is_fresh(&keys, ends - Duration::from_mins(1)));
    }

    #[test]
    fn what_is_no_credential_is_refused_without_being_quoted() {
        for text in ["", "s3cret", r#"{"Version":2,"AccessKeyId":"A","SecretAccessKey":"s3cret"}"#]
        {
            let error = parse(text).unwrap_err();
            assert!(!error.message().contains("s3cret"), "{error}");
        }
    }
}
