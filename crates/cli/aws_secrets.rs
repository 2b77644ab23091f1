//! What transports may have of AWS: credentials, and how it is reached.

use pgferry_aws::{Account, AssumeRole, Aws, AwsError, AwsErrorKind, Identity};
use pgferry_transport::{SecretAnswer, SecretFailure, SecretService, Status};

/// The names reserved for them, in the contract's words.
const CREDENTIALS: &str = "aws:credentials";
const CONFIG: &str = "aws:config";

/// One identity's, looked up and kept fresh by the account that targets of this identity use too.
pub(crate) struct AwsSecrets(Account);

impl AwsSecrets {
    pub(crate) fn of(aws: &Aws, whose: &pgferry_config::Aws) -> Self {
        Self(aws.account(&identity(whose)))
    }
}

/// Whose AWS, in the terms of those who ask it.
pub(crate) fn identity(aws: &pgferry_config::Aws) -> Identity {
    let role = aws.assume_role.as_ref().map(|role| AssumeRole {
        role_arn: role.role_arn.clone(),
        external_id: role.external_id.clone(),
        session_name: role.session_name.clone(),
    });
    Identity {
        profile: aws.profile.clone(),
        region: aws.region.clone(),
        assume_role: role,
        endpoint_url: aws.endpoint_url.clone(),
    }
}

impl SecretService for AwsSecrets {
    fn answer(&self, name: &str) -> Option<SecretAnswer> {
        let account = self.0.clone();
        match name {
            CREDENTIALS => Some(Box::pin(async move {
                account.credentials_json().await.map_err(|error| failure(&error))
            })),
            CONFIG => Some(Box::pin(async move {
                account.settings_json().await.map_err(|error| failure(&error))
            })),
            _ => None,
        }
    }

    fn identity(&self) -> String {
        format!("{:?}", self.0.identity())
    }
}

/// In the contract's words. `CONFIG` is not among them: what is mended at AWS's files counts at once,
/// and an instance that is disabled would not notice.
fn failure(error: &AwsError) -> SecretFailure {
    let status = match error.kind() {
        AwsErrorKind::AccessDenied { .. } => Status::Denied,
        AwsErrorKind::Unreachable | AwsErrorKind::Proxy => Status::Unreachable,
        AwsErrorKind::Throttled => Status::Throttled,
        _ => Status::Auth,
    };
    let message = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    SecretFailure { status, message }
}
