//! Whether the bastion is the one it claims to be: the files, the policy, and the words for it.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use std::time::SystemTime;

use pgferry_transport_sdk::Error;
use russh::keys::{Certificate, PublicKey, PublicKeyBase64 as _, PublicKeyOrCertificate};

use crate::algorithms::Known;
use crate::certificate::{self, Flaw};
use crate::config::HostKeyPolicy;
use crate::hop::{Hop, Role};
use crate::known_hosts::{self, Authority, Entry, Verdict};

/// The known hosts as they were when the connection was begun, and what to do with them.
#[derive(Debug)]
pub(crate) struct HostKeyCheck {
    role: Role,
    host: String,
    port: u16,
    policy: HostKeyPolicy,
    now: SystemTime,
    entries: Vec<Entry>,
    /// Where a new key is, or would have to be, recorded.
    file: PathBuf,
}

impl HostKeyCheck {
    /// Reads the files of known hosts. A file that does not exist is an empty one.
    ///
    /// Errors: the user's: there is no home directory, or a file cannot be read.
    pub(crate) fn load(hop: &Hop, now: SystemTime) -> Result<Self, Error> {
        let files = hop.host_keys.files.clone();
        let mut entries = Vec::new();
        for file in &files {
            match fs::read(file) {
                Ok(bytes) => {
                    entries.extend(known_hosts::parse(file, &String::from_utf8_lossy(&bytes)));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let text =
                        format!("cannot read the known hosts in {}: {error}", file.display());
                    return Err(Error::denied(text));
                }
            }
        }
        let Some(file) = files.into_iter().next() else {
            return Err(Error::denied("there is no home directory to find .ssh/known_hosts in")
                .with_hint("set known_hosts_file"));
        };
        // An alias stands for host and port.
        let (host, port) = match &hop.host_keys.alias {
            Some(alias) => (alias.clone(), known_hosts::DEFAULT_PORT),
            None => (hop.host.clone(), hop.port),
        };
        Ok(Self { role: hop.role, host, port, policy: hop.host_keys.policy, now, entries, file })
    }

    /// What is known of this bastion's keys.
    pub(crate) fn known(&self) -> Known {
        Known {
            types: known_hosts::known_types(&self.entries, &self.host, self.port),
            authority: self.authority_place().is_some(),
        }
    }

    fn authority_place(&self) -> Option<&known_hosts::Place> {
        known_hosts::authority_place(&self.entries, &self.host, self.port)
    }

    /// Accepts what the bastion has shown, whose key it has proved to hold, or says why not.
    ///
    /// Errors: denied, with the line to add or remove; the fault is the user's or an attacker's.
    pub(crate) fn accept(&self, shown: &PublicKeyOrCertificate) -> Result<(), Error> {
        let key = shown.public_key().public_key_bytes();
        match shown.certificate() {
            None => self.accept_key(&key),
            Some(certificate) => self.accept_certificate(certificate, &key),
        }
    }

    fn accept_key(&self, key: &[u8]) -> Result<(), Error> {
        match known_hosts::verify(&self.entries, &self.host, self.port, key) {
            Verdict::Known => Ok(()),
            Verdict::Unknown if self.policy == HostKeyPolicy::AcceptNew => self.record(key),
            refused => Err(self.refusal(&refused, key)),
        }
    }

    /// Like OpenSSH: a certificate that proves nothing may still carry a key that is known by itself.
    fn accept_certificate(&self, certificate: &Certificate, key: &[u8]) -> Result<(), Error> {
        let authority = PublicKey::from(certificate.signature_key().clone()).public_key_bytes();
        let (entries, host, port) = (&self.entries, &self.host, self.port);
        let flaw = match known_hosts::judge_authority(entries, host, port, key, &authority) {
            Authority::Revoked { place } => return Err(self.revoked(&place, certificate)),
            Authority::Unknown => None,
            Authority::Trusted => match certificate::check_host(certificate, host, self.now) {
                Ok(()) => return Ok(()),
                Err(flaw) => Some(flaw),
            },
        };
        if known_hosts::verify(entries, host, port, key) == Verdict::Known {
            return Ok(());
        }
        Err(self.not_certified(flaw, &authority))
    }

    fn revoked(&self, place: &known_hosts::Place, certificate: &Certificate) -> Error {
        let (bastion, id) = (self.shown_name(), certificate.key_id());
        let text = format!("host certificate {id:?} of {bastion} is revoked ({place})");
        Error::denied(text)
            .with_hint("its key or its authority may be in other hands: give the bastion a new one")
    }

    fn not_certified(&self, flaw: Option<Flaw>, authority: &[u8]) -> Error {
        let bastion = self.shown_name();
        let place = self.authority_place().map(ToString::to_string).unwrap_or_default();
        let Some(flaw) = flaw else {
            let shown = known_hosts::fingerprint(authority);
            let text = format!(
                "host certificate of {bastion} is signed by {shown}, which is not an authority \
                 that {place} names"
            );
            return Error::denied(text).with_hint(format!(
                "compare {shown} with what the bastion's administrator says, then add the \
                 authority's public key to {}: @cert-authority {} {} …",
                self.file.display(),
                self.host,
                known_hosts::key_type(authority)
            ));
        };
        let hint = match &flaw {
            Flaw::OtherHosts { .. } => {
                let host = &self.host;
                format!("set host to a name the certificate has, or have it signed for {host}")
            }
            Flaw::NotYetValid { .. } | Flaw::Expired { .. } => {
                "have the bastion's host key signed anew, or set this machine's clock".to_owned()
            }
            _ => "have the bastion's host key signed anew".to_owned(),
        };
        Error::denied(format!("host certificate of {bastion} {flaw}")).with_hint(hint)
    }

    fn record(&self, key: &[u8]) -> Result<(), Error> {
        let line = known_hosts::line(&self.host, self.port, key);
        append(&self.file, &line).map_err(|error| {
            let file = self.file.display();
            Error::denied(format!("cannot record the bastion's new host key in {file}: {error}"))
                .with_hint(format!("make the file writable, or add the line {line:?} to it"))
        })?;
        let (bastion, fingerprint) = (self.name(), known_hosts::fingerprint(key));
        tracing::warn!(bastion, fingerprint, file = %self.file.display(), "new host key recorded");
        Ok(())
    }

    fn refusal(&self, verdict: &Verdict, key: &[u8]) -> Error {
        let (name, kind) = (self.name(), known_hosts::key_type(key));
        let bastion = self.shown_name();
        let shown = known_hosts::fingerprint(key);
        let file = self.file.display();
        let line = known_hosts::line(&self.host, self.port, key);
        let (message, hint) = match verdict {
            Verdict::Changed { place, known } => (
                format!("host key of {bastion} has changed: {place} has {known}, it shows {shown}"),
                format!(
                    "someone may be intercepting the connection; if the bastion was replaced, \
                     compare {shown} with its console, then run: ssh-keygen -R '{name}' -f {}",
                    place.file.display()
                ),
            ),
            Verdict::Revoked { place } => (
                format!("host key of {bastion} is revoked ({place}): {shown}"),
                "give the bastion a new host key; a revoked one may be in other hands".to_owned(),
            ),
            Verdict::AuthorityOnly { place } => (
                format!(
                    "host key of {bastion} is not known: {place} names a certificate authority, \
                     but the bastion has no certificate"
                ),
                format!(
                    "have its host key signed and set HostCertificate in its sshd_config; or \
                     compare {shown} with the bastion's console and add to {file}: {line}"
                ),
            ),
            Verdict::OtherTypes { place } => (
                format!(
                    "host key of {bastion} is not known: it shows only a {kind} key ({shown}), \
                     {place} has one of another type"
                ),
                format!("compare {shown} with the bastion's console, then add to {file}: {line}"),
            ),
            Verdict::Unknown | Verdict::Known => (
                format!("host key of {bastion} is not known: {kind} {shown}"),
                format!(
                    "compare {shown} with what the bastion's console or administrator says (what \
                     ssh-keyscan prints proves nothing), then add to {file}: {line}"
                ),
            ),
        };
        Error::denied(message).with_hint(hint)
    }

    /// The bastion is the one that is expected; a jump has to be named.
    fn shown_name(&self) -> String {
        match self.role {
            Role::Bastion => self.name(),
            Role::Jump => format!("jump {}", self.name()),
        }
    }

    fn name(&self) -> String {
        known_hosts::name(&self.host, self.port)
    }
}

/// Adds one line with one write, so that programs doing the same at once do not mix lines.
fn append(file: &Path, line: &str) -> io::Result<()> {
    if let Some(directory) = file.parent().filter(|directory| !directory.exists()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).mode(0o600).open(file)?;
    let separator = if ends_within_a_line(&mut file)? { "\n" } else { "" };
    file.write_all(format!("{separator}{line}\n").as_bytes())
}

fn ends_within_a_line(file: &mut fs::File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_line_is_appended_to_a_new_file_that_only_the_owner_reads() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sub/known_hosts");
        append(&file, "one").unwrap();
        append(&file, "two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_is_not_glued_to_an_unfinished_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known_hosts");
        fs::write(&file, "unfinished").unwrap();
        append(&file, "one").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "unfinished\none\n");
    }
}
