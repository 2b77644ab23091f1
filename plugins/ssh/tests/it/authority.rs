//! A certificate authority: a key of its own and `ssh-keygen -s`.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::sshd::{make_key, public_key, ssh_keygen};

pub(crate) struct Authority {
    directory: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::of("ed25519")
    }

    pub(crate) fn of(kind: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        make_key(&directory.path().join("ca"), kind, "");
        Self { directory }
    }

    fn key(&self) -> PathBuf {
        self.directory.path().join("ca")
    }

    /// The file with its public key.
    pub(crate) fn public_file(&self) -> PathBuf {
        self.directory.path().join("ca.pub")
    }

    /// The type and base64 of its public key.
    pub(crate) fn public_key(&self) -> String {
        public_key(&self.public_file())
    }

    /// The line of `sshd_config` that trusts it for users.
    pub(crate) fn trusted_for_users(&self) -> String {
        format!("TrustedUserCAKeys {}\n", self.public_file().display())
    }

    /// Signs a user's key; the certificate comes to lie beside it.
    pub(crate) fn sign_user(&self, key: &Path, names: &str, validity: &str) -> PathBuf {
        self.sign(key, &["-n", names, "-V", validity])
    }

    /// Signs a host's key; the certificate comes to lie beside it.
    pub(crate) fn sign_host(&self, key: &Path, more: &[&str]) -> PathBuf {
        self.sign(key, &[&["-h"], more].concat())
    }

    fn sign(&self, key: &Path, more: &[&str]) -> PathBuf {
        let (authority, public) = (self.key(), key.with_extension("pub"));
        let mut arguments = vec!["-q", "-I", "test", "-s", authority.to_str().unwrap()];
        arguments.extend(more);
        arguments.push(public.to_str().unwrap());
        ssh_keygen(&arguments);
        let file = format!("{}-cert.pub", key.display());
        assert!(fs::exists(&file).unwrap());
        file.into()
    }
}

/// For `ssh-keygen -V`: now and for a while.
pub(crate) const NOW: &str = "-1h:+1h";
/// Long ago.
pub(crate) const PAST: &str = "20200101000000Z:20210101000000Z";
