//! A private key from a file, decrypted if need be.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use pgferry_transport_sdk::Error;
use russh::keys::{self, Algorithm, PrivateKey, decode_secret_key};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::passphrases::Passphrases;

/// Reads the key in `path`, asking for its passphrase only if it is encrypted.
///
/// Errors: auth, all of them the user's to mend: no such file, readable by others, not a key, a
/// passphrase that is missing or wrong. Timeout: the passphrase has not come before the deadline.
///
/// Cancel safety: safe; a question stays open for whoever comes next.
pub(crate) async fn load<E: Environment>(
    path: &Path,
    passphrases: &Arc<Passphrases>,
    environment: &E,
    deadline: Instant,
) -> Result<PrivateKey, Error> {
    let text = read(path)?;
    let key = match decode_secret_key(&text, None) {
        Ok(key) => key,
        Err(keys::Error::KeyIsEncrypted) => {
            passphrases.open(path, text, environment, deadline).await?
        }
        Err(error) => return Err(not_a_key(path, &text, &error)),
    };
    match key.algorithm() {
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => Err(in_a_token(path)),
        _ => Ok(key),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let name = path.display();
    let cannot = |error: &io::Error| {
        let text = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no key file {name}"),
            _ => format!("cannot read key file {name}: {error}"),
        };
        Error::auth(text).with_hint("check key_file of this transport")
    };
    let file = File::open(path).map_err(|error| cannot(&error))?;
    let metadata = file.metadata().map_err(|error| cannot(&error))?;
    check_mode(path, &metadata)?;
    if metadata.len() > MAX_LEN {
        return Err(Error::auth(format!("key file {name} is too long to be a private key")));
    }
    let mut text = Zeroizing::new(String::with_capacity(CAPACITY));
    file.take(MAX_LEN).read_to_string(&mut text).map_err(|error| cannot(&error))?;
    Ok(text)
}

/// OpenSSH's rule: a key of one's own that others can read is no longer a secret.
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    let (mode, for_others) = (metadata.mode() & 0o777, metadata.mode() & 0o077);
    if metadata.uid() != rustix::process::getuid().as_raw() || for_others == 0 {
        return Ok(());
    }
    let name = path.display();
    let text = format!("key file {name} can be read by others (mode {mode:04o})");
    Err(Error::auth(text).with_hint(format!("run: chmod 600 {name}")))
}

fn in_a_token(path: &Path) -> Error {
    let name = path.display();
    Error::auth(format!("key file {name} is of a FIDO token, which alone can sign with it"))
        .with_hint(format!("run: ssh-add {name}, and use agent = true instead of key_file"))
}

fn not_a_key(path: &Path, text: &str, error: &keys::Error) -> Error {
    let name = path.display();
    if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-") {
        let text = format!("key file {name} holds a public key");
        return Error::auth(text).with_hint("key_file is the private key, without .pub");
    }
    Error::auth(format!("key file {name} holds no usable private key: {error}"))
        .with_hint("it must be an OpenSSH, PEM or PuTTY private key: ed25519, ecdsa or rsa")
}

const MAX_LEN: u64 = 64 * 1024;
/// Larger than any key file, so that reading does not leave copies behind by growing the buffer.
const CAPACITY: usize = 72 * 1024;
