//! Asking AWS with credentials that may just have ended.

use pgferry_aws::{Account, AwsError, AwsErrorKind};

/// Asks; where AWS calls the credentials expired, once more with those that are found then. They
/// may end before their time: by a log-out, or a role's sessions revoked.
pub(crate) async fn with_renewal<T, F>(
    account: &Account,
    ask: impl Fn() -> F,
) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    match ask().await {
        Err(error) if *error.kind() == AwsErrorKind::ExpiredToken => {
            account.forget();
            ask().await
        }
        answer => answer,
    }
}
