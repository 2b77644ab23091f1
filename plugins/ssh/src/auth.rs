//! Logging in to the bastion: with a key file, then with the keys of an agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgferry_transport_sdk::Error;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;

use crate::events::Events;
use crate::hop::Hop;
use crate::identities::Keys;

/// The login of one bastion connection: what was tried so far, and what the bastion said.
pub(crate) struct Login<'a> {
    handle: &'a mut Handle<Events>,
    hop: &'a Hop,
    tried: Vec<String>,
    /// Why some of what is configured could not be tried.
    failed: Vec<String>,
    offered: MethodSet,
    partial: bool,
}

impl<'a> Login<'a> {
    pub(crate) fn new(handle: &'a mut Handle<Events>, hop: &'a Hop) -> Self {
        let (tried, failed, partial) = (Vec::new(), Vec::new(), false);
        Self { handle, hop, tried, failed, offered: MethodSet::empty(), partial }
    }

    /// Logs in with whatever is configured.
    ///
    /// Errors: auth, with what was tried and what the bastion would accept.
    /// Cancel safety: dropping it leaves a connection to be thrown away.
    pub(crate) async fn run(
        mut self,
        keys: Keys,
        agent_socket: Option<PathBuf>,
    ) -> Result<(), Error> {
        self.failed.extend(keys.skipped);
        for (file, key) in keys.private {
            if self.may_go_on() && self.with_key(&file, key).await? {
                return Ok(());
            }
        }
        let agent = self.hop.identities.agent.is_some();
        if agent && self.may_go_on() && self.with_agent(agent_socket, &keys.public).await? {
            return Ok(());
        }
        Err(self.refused())
    }

    async fn with_key(&mut self, file: &Path, key: PrivateKey) -> Result<bool, Error> {
        let hash = self.hash_for(key.public_key()).await?;
        let file = file.display();
        self.tried.push(format!("{file} ({})", fingerprint(key.public_key())));
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let user = self.hop.user.clone();
        let result = self.handle.authenticate_publickey(user, key).await;
        self.note(result.map_err(|error| self.broken(&error))?)
    }

    async fn with_agent(
        &mut self,
        socket: Option<PathBuf>,
        preferred: &[PublicKey],
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
        let mut keys: Vec<_> = identities.into_iter().filter_map(plain_key).collect();
        let last = |key: &PublicKey| preferred.iter().all(|own| own.key_data() != key.key_data());
        keys.sort_by_key(|(key, _)| last(key));
        if self.hop.identities.only_files {
            keys.retain(|(key, _)| !last(key));
        }
        if keys.is_empty() {
            let text = if self.hop.identities.only_files {
                "the ssh-agent holds none of the keys that IdentitiesOnly allows"
            } else {
                "the ssh-agent holds no keys"
            };
            self.failed.push(text.to_owned());
        }
        let limit = MAX_KEYS.saturating_sub(self.tried.len());
        for (key, comment) in keys.iter().take(limit) {
            if !self.may_go_on() {
                break;
            }
            if self.with_agent_key(&mut agent, key, comment).await? {
                return Ok(true);
            }
        }
        if keys.len() > limit {
            let text = format!("only {limit} of the agent's {} keys", keys.len());
            self.failed.push(format!("{text} were tried, since servers hang up after that many"));
        }
        Ok(false)
    }

    async fn with_agent_key(
        &mut self,
        agent: &mut AgentClient<UnixStream>,
        key: &PublicKey,
        comment: &str,
    ) -> Result<bool, Error> {
        let hash = self.hash_for(key).await?;
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
    async fn hash_for(&self, key: &PublicKey) -> Result<Option<HashAlg>, Error> {
        if !key.algorithm().is_rsa() {
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

/// Certificates are left out: the key they certify is listed beside them.
fn plain_key(identity: AgentIdentity) -> Option<(PublicKey, String)> {
    match identity {
        AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
        AgentIdentity::Certificate { .. } => None,
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// OpenSSH's `MaxAuthTries` by default.
const MAX_KEYS: usize = 6;
