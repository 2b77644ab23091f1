//! The program around a transport, as far as AWS is concerned: the seam at which tests put their own.

use std::future::Future;
use std::time::SystemTime;

use pgferry_transport_sdk::{Error, Host};
use zeroize::Zeroizing;

/// Who knows the credentials and the time. Its clones are the same program.
pub trait Program: Clone + Send + Sync + 'static {
    /// The AWS credentials, or what AWS is for this transport: `aws:credentials` and `aws:config`.
    ///
    /// Errors: the program's, in words for a person.
    fn secret(&self, name: &str) -> impl Future<Output = Result<Zeroizing<String>, Error>> + Send;

    /// The time, which signatures and credentials depend on.
    fn now(&self) -> SystemTime;
}

impl Program for Host {
    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        let secret = self.secret(name).await?;
        Ok(Zeroizing::new(secret.expose().to_owned()))
    }

    fn now(&self) -> SystemTime {
        #[expect(clippy::disallowed_methods, reason = "this is where the clock comes in")]
        SystemTime::now()
    }
}
