//! Who we are to AWS: what the program hands over, kept until it nears its end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use pgferry_transport_sdk::Error;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;

use crate::program::Program;

/// The credentials, asked for again when they near their end.
pub struct Keys<P> {
    program: P,
    kept: Mutex<Option<Credentials>>,
}

impl<P: Program> Keys<P> {
    /// Asks for nothing yet.
    pub fn new(program: P) -> Self {
        Self { program, kept: Mutex::new(None) }
    }

    /// Credentials that can be used now.
    ///
    /// Errors: the program's, in its words.
    ///
    /// Cancel safety: nothing is lost.
    pub async fn current(&self) -> Result<Credentials, Error> {
        let mut kept = self.kept.lock().await;
        let now = self.program.now();
        if let Some(keys) = kept.as_ref().filter(|keys| is_fresh(keys, now)) {
            return Ok(keys.clone());
        }
        let text = self.program.secret("aws:credentials").await?;
        let keys = parse(&text)?;
        *kept = Some(keys.clone());
        Ok(keys)
    }

    /// They have been refused: the next caller gets others.
    pub async fn forget(&self) {
        *self.kept.lock().await = None;
    }
}

impl<P> fmt::Debug for Keys<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// As the SDK asks for them.
pub(crate) struct Provider<P>(pub(crate) Arc<Keys<P>>);

impl<P> fmt::Debug for Provider<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

impl<P: Program> ProvideCredentials for Provider<P> {
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
