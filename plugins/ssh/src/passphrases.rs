//! The passphrases of encrypted key files: asked for once, and kept for as long as the transport lives.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pgferry_transport_sdk::Error;
use russh::keys::{PrivateKey, decode_secret_key};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::environment::Environment;

/// What is known of each key file's passphrase. Nobody is asked twice at once for the same file.
#[derive(Default)]
pub(crate) struct Passphrases {
    files: Mutex<HashMap<PathBuf, Passphrase>>,
}

enum Passphrase {
    /// Somebody is asked; all who need the key wait for the same outcome.
    Asked(Outcome),
    /// It has opened the file before.
    Known(Text),
}

type Text = Arc<Zeroizing<String>>;
type Outcome = watch::Receiver<Option<Result<PrivateKey, Error>>>;

impl Passphrases {
    /// Opens the encrypted key whose file at `path` holds `text`.
    ///
    /// Errors: auth: there is no passphrase, or it does not open the file; timeout: it has not come
    /// before the deadline, but is waited for all the same.
    ///
    /// Cancel safety: the answer is kept for whoever comes next.
    pub(crate) async fn open<E: Environment>(
        self: &Arc<Self>,
        path: &Path,
        text: Zeroizing<String>,
        environment: &E,
        deadline: Instant,
    ) -> Result<PrivateKey, Error> {
        let text = Arc::new(text);
        let known = match self.lock().get(path) {
            Some(Passphrase::Known(known)) => Some(Arc::clone(known)),
            _ => None,
        };
        // A file that it does not open any more has been encrypted anew.
        if let Some(known) = known
            && let Some(key) = decrypt(&text, &known).await?
        {
            return Ok(key);
        }
        let mut outcome = self.ask(path, text, environment);
        match timeout_at(deadline, outcome.wait_for(Option::is_some)).await {
            Err(_) => Err(waiting_for(path)),
            Ok(Ok(outcome)) => {
                outcome.clone().unwrap_or_else(|| Err(Error::internal("a question had no outcome")))
            }
            Ok(Err(_)) => Err(Error::internal("the transport is shutting down")),
        }
    }

    /// What to tell those who cannot wait any longer, if they wait for a passphrase.
    pub(crate) fn awaited(&self) -> Option<Error> {
        let files = self.lock();
        let mut asked = files.iter().filter(|(_, state)| state.is_asked());
        asked.next().map(|(path, _)| waiting_for(path))
    }

    /// Joins the question that is open, or asks.
    fn ask<E: Environment>(
        self: &Arc<Self>,
        path: &Path,
        text: Arc<Zeroizing<String>>,
        environment: &E,
    ) -> Outcome {
        let mut files = self.lock();
        if let Some(Passphrase::Asked(outcome)) = files.get(path)
            && outcome.has_changed().is_ok()
        {
            return outcome.clone();
        }
        let (tell, outcome) = watch::channel(None);
        files.insert(path.to_owned(), Passphrase::Asked(outcome.clone()));
        drop(files);
        let (all, path, person) = (Arc::clone(self), path.to_owned(), environment.clone());
        environment.spawn(async move {
            let opened = converse(&path, &text, &person).await;
            let mut files = all.lock();
            let opened = match opened {
                Ok((passphrase, key)) => {
                    files.insert(path, Passphrase::Known(passphrase));
                    Ok(key)
                }
                Err(error) => {
                    files.remove(&path);
                    Err(error)
                }
            };
            drop(files);
            tell.send_replace(Some(opened));
        });
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Passphrase>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passphrase {
    fn is_asked(&self) -> bool {
        matches!(self, Self::Asked(outcome) if outcome.has_changed().is_ok())
    }
}

/// Asks until the key opens, or the tries are used up.
async fn converse<E: Environment>(
    path: &Path,
    text: &Arc<Zeroizing<String>>,
    person: &E,
) -> Result<(Text, PrivateKey), Error> {
    let file = path.display();
    let mut words = format!("passphrase of key file {file}");
    let mut last: Option<Text> = None;
    for _ in 0..TRIES {
        let passphrase = person.passphrase(&words).await;
        let passphrase = Arc::new(passphrase.map_err(|error| missing(path, &error))?);
        // The same again: it comes from the configuration, which has no other.
        if last.as_deref() == Some(&*passphrase) {
            break;
        }
        if let Some(key) = decrypt(text, &passphrase).await? {
            return Ok((passphrase, key));
        }
        words = format!("that is not it; passphrase of key file {file}");
        last = Some(passphrase);
    }
    let text = format!("the passphrase does not open key file {file}");
    Err(Error::auth(text).with_hint("check secrets.key_passphrase of this transport"))
}

/// The key, unless the passphrase is another one. It is derived with bcrypt, which is slow on purpose.
async fn decrypt(
    text: &Arc<Zeroizing<String>>,
    passphrase: &Text,
) -> Result<Option<PrivateKey>, Error> {
    let (text, passphrase) = (Arc::clone(text), Arc::clone(passphrase));
    let decrypting =
        tokio::task::spawn_blocking(move || decode_secret_key(&text, Some(&passphrase)));
    let decrypted = decrypting.await;
    let failed = |error| Error::internal(format!("decrypting the key file failed: {error}"));
    Ok(decrypted.map_err(failed)?.ok())
}

fn missing(path: &Path, error: &Error) -> Error {
    let text = format!("key file {} is encrypted: {}", path.display(), error.message());
    Error::auth(text).with_hint(
        "configure secrets.key_passphrase of this transport, for example \
         secrets = { key_passphrase = { env = \"…\" } }, or run pgferry at a terminal, or use agent = \
         true",
    )
}

fn waiting_for(path: &Path) -> Error {
    let text = format!("pgferry waits at its terminal for the passphrase of {}", path.display());
    Error::timeout(text).with_hint("type it where pgferry runs, then connect again")
}

const TRIES: usize = 3;
