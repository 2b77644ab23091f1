//! What is handed to somebody else who speaks to AWS as this account: JSON texts.

use aws_credential_types::Credentials;
use aws_sdk_sts::primitives::{DateTime, DateTimeFormat};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::account::Account;
use crate::error::{AwsError, AwsErrorKind};

/// What a `credential_process` prints.
/// Source: "Process credential provider" of the AWS SDKs and Tools reference guide.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessCredentials<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
}

#[derive(Serialize)]
struct Settings {
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_bundle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    https_proxy: Option<String>,
}

impl Account {
    /// [`Account::credentials`] as the JSON that a `credential_process` prints.
    ///
    /// # Errors
    /// As [`Account::credentials`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn credentials_json(&self) -> Result<Zeroizing<Vec<u8>>, AwsError> {
        process(&self.credentials().await?)
    }

    /// How AWS is reached: an object with `region` and, where they are set, `endpoint_url`,
    /// `ca_bundle` (a path: `AWS_CA_BUNDLE`) and `https_proxy` (a URL: `HTTPS_PROXY` or `ALL_PROXY`).
    ///
    /// # Errors
    /// As [`Account::region`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn settings_json(&self) -> Result<Zeroizing<Vec<u8>>, AwsError> {
        let settings = Settings {
            region: self.region().await?,
            endpoint_url: self.endpoint_url().await?,
            ca_bundle: variable(&["AWS_CA_BUNDLE"]),
            https_proxy: variable(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        };
        written(&settings)
    }
}

fn process(credentials: &Credentials) -> Result<Zeroizing<Vec<u8>>, AwsError> {
    let expiration = credentials.expiry().map(DateTime::from);
    written(&ProcessCredentials {
        version: 1,
        access_key_id: credentials.access_key_id(),
        secret_access_key: credentials.secret_access_key(),
        session_token: credentials.session_token(),
        expiration: expiration.and_then(|end| end.fmt(DateTimeFormat::DateTime).ok()),
    })
}

fn written(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, AwsError> {
    // Room for all of it at once: growing would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
    serde_json::to_writer(&mut *text, value)
        .map_err(|error| AwsError::new(AwsErrorKind::Other, error.to_string()))?;
    Ok(text)
}

fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// More than the longest session token AWS has given so far.
const ROOM: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn text(credentials: &Credentials) -> String {
        String::from_utf8(process(credentials).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn credentials_of_a_session_have_a_token_and_an_end() {
        let end = UNIX_EPOCH + Duration::from_hours(500_000);
        let session = Credentials::new("AKID", "a/b\"c", Some("token".into()), Some(end), "test");
        let wanted = r#"{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"a/b\"c","SessionToken":"token","Expiration":"2027-01-15T08:00:00Z"}"#;
        assert_eq!(text(&session), wanted);
    }

    #[test]
    fn what_a_user_has_for_good_says_nothing_of_either() {
        let user = Credentials::new("AKID", "secret", None, None, "test");
        assert_eq!(text(&user), r#"{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"secret"}"#);
    }
}
