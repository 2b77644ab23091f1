//! What an error of the SDK says, taken apart: facts alone, no judgement.

use std::error::Error;
use std::time::SystemTime;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;

use crate::error::AwsError;

/// How a call, or the search for credentials, failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// One of our own, on its way back through the SDK.
    Known(AwsError),
    /// A step on the way to credentials.
    Step { service: &'static str, action: &'static str, failure: Box<Self> },
    /// The service answered with an error of its own.
    Refused(Refusal),
    /// What answered does not speak the service's protocol.
    Strange { status: u16 },
    /// No connection, or one that broke. The causes, outermost first.
    NoConnection { causes: String },
    /// No answer within the limit.
    TimedOut,
    /// No source of credentials had any.
    NoCredentials { causes: String },
    /// Files or settings that cannot work.
    Unusable { causes: String },
    /// Nothing of the above.
    Unknown { causes: String },
}

/// An error that a service answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    /// How far this clock is ahead of the reply's `Date`, in seconds.
    pub(crate) ahead: Option<i64>,
}

impl Failure {
    pub(crate) fn of_call<E>(error: &SdkError<E>, now: SystemTime) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let headers = context.raw().headers();
                Self::Refused(Refusal {
                    code: context.err().code().unwrap_or_default().to_owned(),
                    message: context.err().message().unwrap_or_default().to_owned(),
                    ahead: headers.get("date").and_then(|date| ahead(now, date)),
                })
                .unless_strange(context.raw().status().as_u16())
            }
            SdkError::ResponseError(context) => {
                Self::Strange { status: context.raw().status().as_u16() }
            }
            SdkError::TimeoutError(_) => Self::TimedOut,
            SdkError::DispatchFailure(failure) => {
                unsigned(error, now).unwrap_or_else(|| of_connector(failure.as_connector_error()))
            }
            other => {
                unsigned(other, now).unwrap_or_else(|| Self::Unusable { causes: causes(other) })
            }
        }
    }

    /// The failure of a chain of credential providers: that of the one where it began.
    pub(crate) fn of_credentials(error: &CredentialsError, now: SystemTime) -> Self {
        if let Some(failure) = error.source().and_then(|source| unsigned(source, now)) {
            return failure;
        }
        let sts = |action, failure: Self| Self::step("sts", action, failure);
        for cause in chain(error) {
            if let Some(known) = cause.downcast_ref::<AwsError>() {
                return Self::Known(known.clone());
            }
            if let Some(error) = cause.downcast_ref::<SdkError<AssumeRoleError>>() {
                return sts("AssumeRole", Self::of_call(error, now));
            }
            if let Some(error) = cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError>>() {
                return sts("AssumeRoleWithWebIdentity", Self::of_call(error, now));
            }
            if let Some(error) = cause.downcast_ref::<SdkError<GetRoleCredentialsError>>() {
                return Self::step("sso", "GetRoleCredentials", Self::of_call(error, now));
            }
        }
        let causes = causes(error);
        match error {
            CredentialsError::CredentialsNotLoaded(_) => Self::NoCredentials { causes },
            CredentialsError::ProviderTimedOut(_) => Self::TimedOut,
            CredentialsError::InvalidConfiguration(_) => Self::Unusable { causes },
            _ => Self::Unknown { causes },
        }
    }

    /// One that is about credentials itself stands for the whole.
    fn step(service: &'static str, action: &'static str, failure: Self) -> Self {
        match failure {
            Self::Known(_) | Self::NoCredentials { .. } | Self::Step { .. } => failure,
            failure => Self::Step { service, action, failure: Box::new(failure) },
        }
    }

    /// A proxy's page parses as an error without a code.
    fn unless_strange(self, status: u16) -> Self {
        match self {
            Self::Refused(refusal) if refusal.code.is_empty() => Self::Strange { status },
            other => other,
        }
    }
}

/// Credentials are resolved inside a call, be it for the caller or on the way to other credentials:
/// their failure is among its causes.
fn unsigned(error: Cause<'_>, now: SystemTime) -> Option<Failure> {
    let inner = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    Some(Failure::of_credentials(inner, now))
}

fn of_connector(error: Option<&ConnectorError>) -> Failure {
    match error {
        Some(error) if error.is_timeout() => Failure::TimedOut,
        Some(error) => Failure::NoConnection { causes: causes(error) },
        None => Failure::Unknown { causes: String::new() },
    }
}

/// Seconds that `now` is ahead of an HTTP date, to the second. Source: RFC 9110, 6.6.1.
fn ahead(now: SystemTime, date: &str) -> Option<i64> {
    let date = httpdate::parse_http_date(date).ok()?;
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).ok();
    match now.duration_since(date) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => seconds(behind.duration()).map(|behind| -behind),
    }
}

fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = chain(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

fn chain(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(error), |error| (*error).source())
}

type Cause<'a> = &'a (dyn Error + 'static);
