//! The private keys and certificates for one login, ready before the server hears of us.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use pgferry_transport_sdk::{Error, Status};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key};
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::certificate::Flaw;
use crate::certificate_file;
use crate::environment::Environment;
use crate::hop::{Agent, Hop, Identities, IdentityFile, NamedBy};
use crate::key_file;
use crate::passphrases::Passphrases;

/// What a login is made with.
#[derive(Default)]
pub(crate) struct Keys {
    /// Private keys with what to call them, in the order to try them.
    pub(crate) private: Vec<(String, PrivateKey)>,
    /// Certificates from files, for these keys or the agent's, in the order to try them.
    pub(crate) certificates: Vec<(PathBuf, Certificate)>,
    /// Those to try after the agent's.
    pub(crate) private_last: Vec<(String, PrivateKey)>,
    /// The public halves of the files. The agent's keys among them come before its others.
    pub(crate) public: Vec<PublicKey>,
    /// Why some of the files are not used.
    pub(crate) skipped: Vec<String>,
}

/// Where a hop's agent listens, if it has one that does.
pub(crate) fn agent_socket(hop: &Hop, environment: &impl Environment) -> Option<PathBuf> {
    match hop.identities.agent.as_ref()? {
        Agent::Environment => environment.agent_socket(),
        Agent::Socket(path) => Some(path.clone()),
    }
}

/// Reads the key files of a hop. One that is encrypted is left to the agent, if that holds the key.
///
/// Errors: auth, all of them the user's to mend: a required file that cannot be used. Timeout: a
/// passphrase has not come before the deadline.
///
/// Cancel safety: safe.
pub(crate) async fn load<E: Environment>(
    hop: &Hop,
    passphrases: &Arc<Passphrases>,
    environment: &E,
    deadline: Instant,
) -> Result<Keys, Error> {
    let mut keys = Keys::default();
    let files = &hop.identities.files;
    let held = if files.iter().any(|file| file.named_by != NamedBy::Configuration) {
        held_by_agent(agent_socket(hop, environment)).await
    } else {
        Vec::new()
    };
    for file in files {
        if file.named_by == NamedBy::Configuration {
            let key = key_file::load(&file.path, passphrases, environment, deadline).await?;
            keys.public.push(key.public_key().clone());
            keys.private.push((file.path.display().to_string(), key));
            continue;
        }
        let public = keys.note(file);
        // Nobody is asked for the passphrase of a file that nobody has named.
        let unnamed = file.named_by == NamedBy::Nobody;
        if unnamed && hop.identities.agent.is_some() && is_encrypted(&file.path) {
            let name = file.path.display();
            keys.skipped.push(format!("{name} is encrypted and left to the ssh-agent"));
        } else if !held_in(&held, public.as_ref()) {
            let loading = key_file::load(&file.path, passphrases, environment, deadline);
            keys.add(file, loading.await)?;
        }
    }
    keys.certify(&hop.identities, environment.now())?;
    Ok(keys)
}

impl Keys {
    /// The private key that a certificate is for.
    pub(crate) fn key_of(&self, certificate: &Certificate) -> Option<&PrivateKey> {
        let own = |key: &PrivateKey| key.public_key().key_data() == certificate.public_key();
        self.private.iter().chain(&self.private_last).map(|(_, key)| key).find(|key| own(key))
    }

    /// The certificates whose keys are not here.
    pub(crate) fn left_to_the_agent(&self) -> Vec<(PathBuf, Certificate)> {
        let mut left = self.certificates.clone();
        left.retain(|(_, certificate)| self.key_of(certificate).is_none());
        left
    }

    /// Adds the certificates: the configured one, OpenSSH's `CertificateFile`, and those beside the
    /// keys. Of these only the first has to be usable: the keys may do without the others.
    fn certify(&mut self, identities: &Identities, now: SystemTime) -> Result<(), Error> {
        if let Some(file) = &identities.certificate_file {
            let certificate = certificate_file::load(file, now)?;
            if identities.agent.is_none() && self.key_of(&certificate).is_none() {
                return Err(certificate_file::refusal(file, &Flaw::OtherKey));
            }
            self.certificates.push((file.clone(), certificate));
        }
        let beside = identities.files.iter().map(|file| certificate_file::beside(&file.path));
        let beside = beside.filter(|file| file.exists());
        for file in identities.certificate_files.iter().cloned().chain(beside) {
            if self.certificates.iter().any(|(known, _)| *known == file) {
                continue;
            }
            match certificate_file::load(&file, now) {
                Ok(certificate) => self.certificates.push((file, certificate)),
                Err(error) => self.skipped.push(error.message().to_owned()),
            }
        }
        Ok(())
    }

    /// Notes the public half of a file that need not be usable.
    fn note(&mut self, file: &IdentityFile) -> Option<PublicKey> {
        let public = public_half(&file.path);
        self.public.extend(public.clone());
        public
    }

    fn add(&mut self, file: &IdentityFile, loaded: Result<PrivateKey, Error>) -> Result<(), Error> {
        let unnamed = file.named_by == NamedBy::Nobody;
        let list = if unnamed { &mut self.private_last } else { &mut self.private };
        match loaded {
            Ok(key) => list.push((file.path.display().to_string(), key)),
            // Somebody is about to type its passphrase.
            Err(error) if error.status() == Status::TIMEOUT => return Err(error),
            Err(_) if !file.path.exists() => {
                self.skipped.push(format!("there is no {}", file.path.display()));
            }
            Err(error) => self.skipped.push(error.message().to_owned()),
        }
        Ok(())
    }
}

fn is_encrypted(path: &Path) -> bool {
    let text = fs::read_to_string(path).map(zeroize::Zeroizing::new).unwrap_or_default();
    matches!(decode_secret_key(&text, None), Err(russh::keys::Error::KeyIsEncrypted))
}

fn held_in(held: &[PublicKey], key: Option<&PublicKey>) -> bool {
    key.is_some_and(|key| held.iter().any(|held| held.key_data() == key.key_data()))
}

/// The public key that belongs to a file: beside it, in it (it may be the public half itself), or in
/// the clear part of an encrypted one.
fn public_half(path: &Path) -> Option<PublicKey> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    [PathBuf::from(beside), path.to_owned()].iter().find_map(|path| {
        let text = zeroize::Zeroizing::new(fs::read_to_string(path).ok()?);
        let private = || Some(PrivateKey::from_openssh(text.as_str()).ok()?.public_key().clone());
        PublicKey::from_openssh(&text).ok().or_else(private)
    })
}

/// The keys of the agent. One that does not answer is found out about at the login.
async fn held_by_agent(socket: Option<PathBuf>) -> Vec<PublicKey> {
    let Some(socket) = socket else { return Vec::new() };
    let Ok(stream) = UnixStream::connect(socket).await else { return Vec::new() };
    let listed = AgentClient::connect(stream).request_identities().await.unwrap_or_default();
    let plain = |identity| match identity {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    };
    listed.into_iter().filter_map(plain).collect()
}
