//! A user certificate from a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pgferry_transport_sdk::Error;
use russh::keys::Certificate;

use crate::certificate::{self, Flaw};

/// Reads the certificate in `file`, which has to be a user's that can be used now.
///
/// Errors: auth, all of them the user's to mend.
pub(crate) fn load(file: &Path, now: SystemTime) -> Result<Certificate, Error> {
    let certificate = read(file)?;
    certificate::check_user(&certificate, now).map_err(|flaw| refusal(file, &flaw))?;
    Ok(certificate)
}

/// The certificate beside a key: OpenSSH's `id_ed25519-cert.pub` for `id_ed25519`.
pub(crate) fn beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push("-cert.pub");
    name.into()
}

/// What is wrong with a certificate, and what to do about it.
pub(crate) fn refusal(file: &Path, flaw: &Flaw) -> Error {
    let hint = match flaw {
        Flaw::OtherKey => "key_file and certificate_file have to belong together",
        Flaw::WrongType(_) => "have the key signed as a user's, without ssh-keygen -h",
        _ => "have the key signed anew, or set this machine's clock",
    };
    Error::auth(format!("certificate {} {flaw}", file.display())).with_hint(hint)
}

fn read(file: &Path) -> Result<Certificate, Error> {
    let name = file.display();
    let unreadable = |error: io::Error| {
        let text = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no certificate file {name}"),
            _ => format!("cannot read certificate file {name}: {error}"),
        };
        Error::auth(text).with_hint("check certificate_file of this transport")
    };
    let none = || {
        Error::auth(format!("file {name} holds no certificate"))
            .with_hint("certificate_file is what ssh-keygen -s writes: NAME-cert.pub")
    };
    if fs::metadata(file).map_err(unreadable)?.len() > MAX_LEN {
        return Err(none());
    }
    let text = fs::read(file).map_err(unreadable)?;
    Certificate::from_openssh(String::from_utf8_lossy(&text).trim()).map_err(|_| none())
}

const MAX_LEN: u64 = 64 * 1024;
