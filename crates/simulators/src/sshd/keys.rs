//! Keys, made with OpenSSH's own tool.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    error::{Context, Error},
    tool,
};

/// A private key that the bastion lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Ed25519.
    Ed25519,
    /// RSA, 2048 bits.
    Rsa,
    /// Ed25519, encrypted with a passphrase.
    Encrypted,
    /// Ed25519, but *not* let in.
    Unknown,
}

impl Key {
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Ed25519 => "user_ed25519",
            Self::Rsa => "user_rsa",
            Self::Encrypted => "user_encrypted",
            Self::Unknown => "user_unknown",
        }
    }
}

/// Makes all user keys and the file that lists the ones let in.
pub(super) fn make_user_keys(directory: &Path, passphrase: &str) -> Result<(), Error> {
    generate([
        key(directory, Key::Ed25519.file(), "ed25519", "")?,
        key(directory, Key::Rsa.file(), "rsa", "")?,
        key(directory, Key::Encrypted.file(), "ed25519", passphrase)?,
        key(directory, Key::Unknown.file(), "ed25519", "")?,
    ])?;
    let mut accepted = String::new();
    for key in [Key::Ed25519, Key::Rsa, Key::Encrypted] {
        let path = directory.join(key.file()).with_extension("pub");
        let line = fs::read_to_string(&path).doing(|| format!("reading {}", path.display()))?;
        accepted.push_str(&line);
    }
    fs::write(directory.join("authorized_keys"), accepted)
        .doing(|| "writing authorized_keys".to_owned())
}

/// Makes the host keys, over any that are there.
pub(super) fn make_host_keys(directory: &Path) -> Result<(), Error> {
    for file in HOST_KEYS {
        // ssh-keygen asks before it overwrites.
        let path = directory.join(file);
        if path.exists() {
            fs::remove_file(&path).doing(|| format!("removing {}", path.display()))?;
        }
    }
    let [ed25519, rsa] = HOST_KEYS;
    generate([key(directory, ed25519, "ed25519", "")?, key(directory, rsa, "rsa", "")?])
}

fn key(directory: &Path, file: &str, kind: &str, passphrase: &str) -> Result<Command, Error> {
    let mut keygen = Command::new(tool::find("ssh-keygen", "openssh-client")?);
    keygen.args(["-q", "-t", kind, "-C", file, "-N", passphrase, "-f"]).arg(directory.join(file));
    if kind == "rsa" {
        keygen.args(["-b", "2048"]);
    }
    Ok(keygen)
}

/// Runs the commands side by side: looking for RSA primes takes most of a bastion's start.
fn generate<const N: usize>(commands: [Command; N]) -> Result<(), Error> {
    let mut running = Vec::new();
    for mut command in commands {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        running.push(command.spawn().doing(|| "running ssh-keygen".to_owned())?);
    }
    for keygen in running {
        let output = keygen.wait_with_output().doing(|| "running ssh-keygen".to_owned())?;
        if !output.status.success() {
            return Err(Error::Failed {
                program: "ssh-keygen".to_owned(),
                status: output.status.to_string(),
                output: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
    }
    Ok(())
}

pub(super) const HOST_KEYS: [&str; 2] = ["host_ed25519", "host_rsa"];
