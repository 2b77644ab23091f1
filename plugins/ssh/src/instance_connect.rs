//! EC2 Instance Connect: a key for one login, known to the instance for a minute.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::fill;
use aws_sdk_ec2instanceconnect::Client;
use aws_sdk_ec2instanceconnect::config::retry::RetryConfig;
use aws_sdk_ec2instanceconnect::config::timeout::TimeoutConfig;
use aws_sdk_ec2instanceconnect::config::{BehaviorVersion, IdentityCache, Region};
use pgferry_transport_aws::{
    Account, CallFailure, Keys, Program, Proxy, Roots, http_client, provider,
};
use pgferry_transport_sdk::Error;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

mod refusal;

/// Hands keys to instances, in the name of the program's AWS identity.
pub(crate) struct InstanceConnect<P> {
    program: P,
    service: OnceCell<Service<P>>,
}

/// The client of the API, made when the first key is needed.
struct Service<P> {
    client: Client,
    region: String,
    keys: Arc<Keys<P>>,
}

impl<P: Program> InstanceConnect<P> {
    pub(crate) fn new(program: P) -> Self {
        Self { program, service: OnceCell::new() }
    }

    /// Makes a key with which `user` can log in to `instance` for the next 60 s. It exists in memory alone.
    ///
    /// Errors: whose fault it is, and what to do about it; none of them is final.
    ///
    /// Cancel safety: the instance may know a key that nobody has.
    ///
    /// Source: Amazon EC2 Instance Connect API Reference, `SendSSHPublicKey`.
    pub(crate) async fn key(&self, instance: &str, user: &str) -> Result<PrivateKey, Error> {
        let service = self.service.get_or_try_init(|| Service::new(&self.program)).await?;
        let key = fresh_key()?;
        let public = key.public_key().to_openssh();
        let public = public.map_err(|error| Error::internal(format!("a new key: {error}")))?;
        let mut sent = service.send(instance, user, &public).await;
        if let Err(CallFailure::Credentials(_)) = sent {
            service.keys.forget().await;
            sent = service.send(instance, user, &public).await;
        }
        sent.map_err(|failure| refusal::of(failure, instance, user, &service.region))?;
        tracing::debug!(instance, user, "EC2 Instance Connect has handed over a key");
        Ok(key)
    }
}

impl<P: Program> Service<P> {
    /// Asks the program for the account; makes no call.
    async fn new(program: &P) -> Result<Self, Error> {
        let account = Account::ask(program).await?;
        let roots = Roots::load(account.ca_bundle.as_deref())?;
        let proxy = account.https_proxy.as_deref().map(Proxy::parse).transpose()?;
        let keys = Arc::new(Keys::new(program.clone()));
        let mut builder = aws_sdk_ec2instanceconnect::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(account.region.clone()))
            .http_client(http_client(&roots, proxy.as_ref())?)
            .credentials_provider(provider(&keys))
            .identity_cache(IdentityCache::no_cache())
            .timeout_config(timeouts())
            .retry_config(retries());
        if let Some(url) = &account.endpoint_url {
            builder = builder.endpoint_url(url);
        }
        Ok(Self { client: Client::from_conf(builder.build()), region: account.region, keys })
    }

    async fn send(&self, instance: &str, user: &str, public: &str) -> Result<(), CallFailure> {
        let call = self.client.send_ssh_public_key();
        let call = call.instance_id(instance).instance_os_user(user).ssh_public_key(public);
        let answer = call.send().await;
        let answer =
            answer.map_err(|error| CallFailure::of(refusal::ACTION, &error, &self.region))?;
        if answer.success() { Ok(()) } else { Err(refusal::unsuccessful()) }
    }
}

fn fresh_key() -> Result<PrivateKey, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    fill(&mut *seed).map_err(|_| Error::internal("there is no randomness for a key"))?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "pgferry").map_err(|error| Error::internal(format!("a new key: {error}")))
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(25))
        .build()
}

/// The SDK knows AWS's words for throttling, and waits with jitter.
fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(4).with_max_backoff(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ed25519_and_no_two_are_the_same() {
        let (one, two) = (fresh_key().unwrap(), fresh_key().unwrap());
        assert!(one.public_key().to_openssh().unwrap().starts_with("ssh-ed25519 AAAA"));
        assert_ne!(one.public_key(), two.public_key());
    }
}
