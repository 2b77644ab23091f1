//! What a person is told when AWS does not do what was asked.

use std::fmt;
use std::sync::Arc;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

use crate::account::Account;
use crate::diagnosis::{Call, diagnose};
use crate::failure::Failure;

/// A failure of AWS, or on the way to it, in plain words.
///
/// Neither its text nor its hint holds a secret: what AWS answered is quoted only as far as it
/// cannot carry keys, tokens or signed requests. Cheap to clone: everyone who waited for the same
/// answer gets the same error.
#[derive(Clone)]
pub struct AwsError(Arc<Words>);

#[derive(PartialEq, Eq)]
struct Words {
    kind: AwsErrorKind,
    text: String,
    hint: Option<String>,
}

/// What kind of failure it was, for whoever decides what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AwsErrorKind {
    /// No source of credentials had any.
    NoCredentials,
    /// The session of AWS IAM Identity Center is over: the person has to log in.
    SsoExpired,
    /// The credentials were found, but their time is up.
    ExpiredToken,
    /// The identity lacks a permission.
    AccessDenied {
        /// As a policy names it: `rds:DescribeDBClusters`.
        action: String,
    },
    /// No region is known, or the service says it is the wrong one.
    WrongRegion,
    /// This computer's clock and AWS's disagree.
    ClockSkew,
    /// What was asked for does not exist there.
    NotFound,
    /// Too many requests.
    Throttled,
    /// No answer: name resolution, connection or time limit.
    Unreachable,
    /// Something between here and AWS answered instead, or inspects TLS.
    Proxy,
    /// What was configured cannot work.
    Invalid,
    /// Anything else.
    Other,
}

impl AwsError {
    /// Translates the error of a call that `account` made to `service`, as IAM spells both
    /// (`rds`, `DescribeDBClusters`).
    pub fn from_sdk<E>(
        service: &'static str,
        action: &'static str,
        error: &SdkError<E>,
        account: &Account,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failure = Failure::of_call(error, account.now());
        diagnose(Some(Call { service, action }), failure, &account.whose())
    }

    pub(crate) fn new(kind: AwsErrorKind, text: impl Into<String>) -> Self {
        Self(Arc::new(Words { kind, text: text.into(), hint: None }))
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        let Self(words) = self;
        let (kind, text) = (words.kind.clone(), words.text.clone());
        Self(Arc::new(Words { kind, text, hint: Some(hint.into()) }))
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> &AwsErrorKind {
        &self.0.kind
    }

    /// What the person can do, as an imperative sentence without a full stop.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsError")
            .field("kind", &self.0.kind)
            .field("text", &self.0.text)
            .field("hint", &self.0.hint)
            .finish()
    }
}

impl PartialEq for AwsError {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for AwsError {}

impl std::error::Error for AwsError {}
