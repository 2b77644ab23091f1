//! Who signs for a certificate: a key from a file, or an agent that holds the plain key.

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use russh::{AgentAuthError, Signer};
use tokio::net::UnixStream;

/// Signs with a private key. russh's own way for certificates knows SHA-1 alone for RSA keys.
pub(crate) struct KeySigner<'a>(pub(crate) &'a PrivateKey);

impl Signer for KeySigner<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut request: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&request),
            pair => pair.try_sign(&request),
        };
        let broken = |error| AgentAuthError::Key(russh::keys::Error::SshKey(error));
        let signature = signature.map_err(|error| broken(error.into()))?;
        // A string that holds the signature: RFC 4252 section 7.
        let signature = signature.encode_vec().map_err(|error| broken(error.into()))?;
        signature.encode(&mut request).map_err(|error| broken(error.into()))?;
        Ok(request)
    }
}

/// Has an agent sign with a key for which somebody else has the certificate: agents know their
/// certificates only by themselves.
pub(crate) struct PlainKeySigner<'a> {
    pub(crate) agent: &'a mut AgentClient<UnixStream>,
    pub(crate) key: AgentIdentity,
}

impl<'a> PlainKeySigner<'a> {
    pub(crate) fn new(agent: &'a mut AgentClient<UnixStream>, key: PublicKey) -> Self {
        Self { agent, key: AgentIdentity::PublicKey { key, comment: String::new() } }
    }
}

impl Signer for PlainKeySigner<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        Ok(self.agent.sign_request(&self.key, hash, request).await?)
    }
}
