//! Logging in to the bastion: with a key file, then with the keys of an agent; with a certificate
//! before the key it certifies.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use pgferry_transport_sdk::Error;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{AgentAuthError, MethodKind, MethodSet};
use tokio::net::UnixStream;

use crate::certificate;
use crate::events::Events;
use crate::hop::Hop;
use crate::identities::Keys;
use crate::signer::{KeySigner, PlainKeySigner};

/// The login of one bastion connection: what was tried so far, and what the bastion said.
pub(crate) struct Login<'a> {
    handle: &'a mut Handle<Events>,
    hop: &'a Hop,
    tried: Vec<String>,
    /// The names in the certificates that were tried.
    names: Vec<String>,
    /// Why some of what is configured could not be tried.
    failed: Vec<String>,
    offered: MethodSet,
    partial: bool,
}

impl<'a> Login<'a> {
    pub(crate) fn new(handle: &'a mut Handle<Events>, hop: &'a Hop) -> Self {
        let (tried, names, failed) = (Vec::new(), Vec::new(), Vec::new());
        Self { handle, hop, tried, names, failed, offered: MethodSet::empty(), partial: false }
    }

    /// Logs in with whatever is configured.
    ///
    /// Errors: auth, with what was tried and what the bastion would accept.
    /// Cancel safety: dropping it leaves a connection to be thrown away.
    pub(crate) async fn run(
        mut self,
        mut keys: Keys,
        agent_socket: Option<PathBuf>,
        now: SystemTime,
    ) -> Result<(), Error> {
        self.failed.append(&mut keys.skipped);
        for (file, certificate) in &keys.certificates {
            let Some(key) = keys.key_of(certificate) else { continue };
            let name = format!("certificate {}", file.display());
            let signer = &mut KeySigner(key);
            if self.may_go_on() && self.with_certificate(certificate, name, signer).await? {
                return Ok(());
            }
        }
        keys.certificates = keys.left_to_the_agent();
        for (name, key) in std::mem::take(&mut keys.private) {
            if self.may_go_on() && self.with_key(&name, key).await? {
                return Ok(());
            }
        }
        let agent = self.hop.identities.agent.is_some();
        if agent && self.may_go_on() && self.with_agent(agent_socket, &keys, now).await? {
            return Ok(());
        }
        for (name, key) in keys.private_last {
            if self.may_go_on() && self.with_key(&name, key).await? {
                return Ok(());
            }
        }
        Err(self.refused())
    }

    async fn with_key(&mut self, name: &str, key: PrivateKey) -> Result<bool, Error> {
        let hash = self.hash_for(key.algorithm()).await?;
        self.tried.push(format!("{name} ({})", fingerprint(key.public_key())));
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let user = self.hop.user.clone();
        let result = self.handle.authenticate_publickey(user, key).await;
        self.note(result.map_err(|error| self.broken(&error))?)
    }

    async fn with_certificate<S: russh::Signer<Error = AgentAuthError>>(
        &mut self,
        certificate: &Certificate,
        name: String,
        signer: &mut S,
    ) -> Result<bool, Error> {
        let hash = self.hash_for(certificate.algorithm()).await?;
        let (user, shown) = (self.hop.user.clone(), certificate.clone());
        let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
        let name = format!("{name} ({:?}, signed by {authority})", certificate.key_id());
        match self.handle.authenticate_certificate_with(user, shown, hash, signer).await {
            Ok(result) => {
                self.tried.push(name);
                self.names.extend_from_slice(certificate.valid_principals());
                self.note(result)
            }
            Err(error) => {
                self.failed.push(format!("nothing was signed with {name}: {error}"));
                Ok(false)
            }
        }
    }

    async fn with_agent(
        &mut self,
        socket: Option<PathBuf>,
        own: &Keys,
        now: SystemTime,
    ) -> Result<bool, Error> {
        let mut agent = connect_agent(socket).await?;
        if let Some(binding) = self.handle.agent_session_binding() {
            // Only agents since OpenSSH 8.9 know it, and only keys bound to destinations need it.
            if let Err(error) = agent.bind_session(binding, false).await {
                tracing::debug!(%error, "the agent does not bind keys to destinations");
            }
        }
        let identities = agent.request_identities().await.map_err(|error| {
            Error::auth(format!("the ssh-agent does not list its keys: {error}"))
        })?;
        if self.with_agent_behind(&mut agent, &identities, &own.certificates).await? {
            return Ok(true);
        }
        let identities = self.in_order(identities, &own.public);
        let limit = MAX_KEYS.saturating_sub(self.tried.len());
        let count = identities.len();
        for identity in identities.into_iter().take(limit) {
            if !self.may_go_on() {
                break;
            }
            if self.with_agent_identity(&mut agent, identity, now).await? {
                return Ok(true);
            }
        }
        if count > limit {
            let text = format!("only {limit} of the agent's {count} keys");
            self.failed.push(format!("{text} were tried, since servers hang up after that many"));
        }
        Ok(false)
    }

    /// The agent's keys that may be tried: those of `preferred` first, and certificates before keys.
    fn in_order(
        &mut self,
        mut identities: Vec<AgentIdentity>,
        preferred: &[PublicKey],
    ) -> Vec<AgentIdentity> {
        let last = |identity: &AgentIdentity| {
            let key = key_data(identity);
            preferred.iter().all(|own| own.key_data() != key)
        };
        let plain = |identity: &AgentIdentity| matches!(identity, AgentIdentity::PublicKey { .. });
        identities.sort_by_key(|identity| (last(identity), plain(identity)));
        if self.hop.identities.only_files {
            identities.retain(|identity| !last(identity));
        }
        if identities.is_empty() {
            let text = if self.hop.identities.only_files {
                "the ssh-agent holds none of the keys that IdentitiesOnly allows"
            } else {
                "the ssh-agent holds no keys"
            };
            self.failed.push(text.to_owned());
        }
        identities
    }

    /// With certificates from files whose keys the agent holds.
    async fn with_agent_behind(
        &mut self,
        agent: &mut AgentClient<UnixStream>,
        identities: &[AgentIdentity],
        certificates: &[(PathBuf, Certificate)],
    ) -> Result<bool, Error> {
        for (file, certificate) in certificates {
            let name = format!("certificate {}", file.display());
            let key = identities.iter().find_map(|identity| match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    (key.key_data() == certificate.public_key()).then_some(key)
                }
                AgentIdentity::Certificate { .. } => None,
            });
            let Some(key) = key else {
                self.failed.push(format!("the ssh-agent does not hold the key of {name}"));
                continue;
            };
            let signer = &mut PlainKeySigner::new(agent, key.clone());
            if self.may_go_on() && self.with_certificate(certificate, name, signer).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn with_agent_identity(
        &mut self,
        agent: &mut AgentClient<UnixStream>,
        identity: AgentIdentity,
        now: SystemTime,
    ) -> Result<bool, Error> {
        match identity {
            AgentIdentity::PublicKey { key, comment } => {
                self.with_agent_key(agent, &key, &comment).await
            }
            AgentIdentity::Certificate { certificate, comment } => {
                let name = format!("agent certificate {comment:?}");
                match certificate::check_user(&certificate, now) {
                    Ok(()) => self.with_certificate(&certificate, name, agent).await,
                    Err(flaw) => {
                        self.failed.push(format!("{name} {flaw}"));
                        Ok(false)
                    }
                }
            }
        }
    }

    async fn with_agent_key(
        &mut self,
        agent: &mut AgentClient<UnixStream>,
        key: &PublicKey,
        comment: &str,
    ) -> Result<bool, Error> {
        let hash = self.hash_for(key.algorithm()).await?;
        let name = format!("agent key {comment:?} ({})", fingerprint(key));
        let user = self.hop.user.clone();
        let result = self.handle.authenticate_publickey_with(user, key.clone(), hash, agent).await;
        match result {
            Ok(result) => {
                self.tried.push(name);
                self.note(result)
            }
            Err(error) => {
                self.failed.push(format!("the ssh-agent did not sign with {name}: {error}"));
                Ok(false)
            }
        }
    }

    /// RSA keys sign with SHA-2 only; russh asks the server which of the two it knows.
    async fn hash_for(&self, algorithm: Algorithm) -> Result<Option<HashAlg>, Error> {
        if !algorithm.is_rsa() {
            return Ok(None);
        }
        let best = self.handle.best_supported_rsa_hash().await;
        let best = best.map_err(|error| self.broken(&error))?;
        Ok(Some(best.flatten().unwrap_or(HashAlg::Sha256)))
    }

    fn note(&mut self, result: AuthResult) -> Result<bool, Error> {
        match result {
            AuthResult::Success => Ok(true),
            // russh says so too when the server has hung up.
            AuthResult::Failure { .. } if self.handle.is_closed() => {
                Err(self.refused_with("it closed the connection"))
            }
            AuthResult::Failure { remaining_methods, partial_success } => {
                self.offered = remaining_methods;
                self.partial |= partial_success;
                Ok(false)
            }
        }
    }

    /// Whether another key is worth an attempt.
    fn may_go_on(&self) -> bool {
        self.tried.is_empty() || self.offered.contains(&MethodKind::PublicKey)
    }

    fn refused(&self) -> Error {
        let offered: Vec<&str> = self.offered.iter().map(<&str>::from).collect();
        if self.partial {
            let error = self.refused_with(&format!("it wants {} as well", offered.join(", ")));
            return error.with_hint("logins of several factors are not supported");
        }
        let accepts = match offered.as_slice() {
            [] => "it accepts no other method".to_owned(),
            methods => format!("it accepts {}", methods.join(", ")),
        };
        let error = self.refused_with(&accepts);
        if !offered.is_empty() && !offered.contains(&"publickey") {
            return error.with_hint("this transport logs in with keys; allow publickey there");
        }
        if !self.names.is_empty() && !self.names.contains(&self.hop.user) {
            return error.with_hint(format!(
                "the certificate is for {}: set user to one of them, have {:?} added to it, or map \
                 the name there with AuthorizedPrincipalsFile",
                self.names.join(", "),
                self.hop.user
            ));
        }
        if let Some(instance) = &self.hop.identities.instance {
            return error.with_hint(format!(
                "check that user is one of the instance's own (ec2-user on Amazon Linux, ubuntu on \
                 Ubuntu), that this server runs on {instance}, and that EC2 Instance Connect is \
                 installed there"
            ));
        }
        error.with_hint(format!(
            "put the public key into ~{}/.ssh/authorized_keys on the bastion, or correct user \
             (ec2-user on Amazon Linux, ubuntu on Ubuntu, admin on Debian)",
            self.hop.user
        ))
    }

    fn refused_with(&self, why: &str) -> Error {
        let (hop, user) = (self.hop, &self.hop.user);
        let tried = match self.tried.as_slice() {
            [] => "nothing could be tried".to_owned(),
            keys => format!("tried {}", keys.join(", ")),
        };
        let failed = self.failed.iter().fold(String::new(), |text, next| text + "; " + next);
        Error::auth(format!("{hop} refused user {user:?}: {tried}{failed}; {why}"))
    }

    fn broken(&self, error: &russh::Error) -> Error {
        let hop = self.hop;
        Error::unreachable(format!("{hop} hung up during the login: {error}"))
    }
}

async fn connect_agent(socket: Option<PathBuf>) -> Result<AgentClient<UnixStream>, Error> {
    let hint = "start an ssh-agent and ssh-add a key where this program runs, or set key_file";
    let Some(path) = socket else {
        return Err(Error::auth("there is no ssh-agent: SSH_AUTH_SOCK is not set").with_hint(hint));
    };
    UnixStream::connect(&path).await.map(AgentClient::connect).map_err(|error| {
        let path = path.display();
        Error::auth(format!("cannot reach the ssh-agent at {path}: {error}")).with_hint(hint)
    })
}

fn key_data(identity: &AgentIdentity) -> &KeyData {
    match identity {
        AgentIdentity::PublicKey { key, .. } => key.key_data(),
        AgentIdentity::Certificate { certificate, .. } => certificate.public_key(),
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// OpenSSH's `MaxAuthTries` by default.
const MAX_KEYS: usize = 6;
