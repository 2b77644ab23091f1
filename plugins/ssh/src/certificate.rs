//! Whether an OpenSSH certificate may be used, and why not: pure.
//!
//! Source: PROTOCOL.certkeys of OpenSSH; for the names of hosts, the release notes of OpenSSH 10.3.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg};

use crate::known_hosts::glob;

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is of this type where the other is wanted.
    WrongType(CertType),
    /// It certifies another key than the one it is to be used with.
    OtherKey,
    /// Its time has not come. Seconds since 1970.
    NotYetValid { from: u64 },
    /// Its time is over. Seconds since 1970.
    Expired { at: u64 },
    /// It holds for other hosts, or, with an empty list, for none.
    OtherHosts { listed: Vec<String> },
    /// It asks for something nobody here knows.
    CriticalOption(String),
    /// Signed with SHA-1, which can be forged.
    Sha1,
    /// Nobody signed these words.
    Signature,
}

/// Whether a bastion can be shown this certificate of the user's.
///
/// Not checked are its authority, signature, names and options: they are for the bastion to judge,
/// which may map names to users as it likes (`AuthorizedPrincipalsFile` of `sshd_config(5)`).
pub(crate) fn check_user(certificate: &Certificate, now: SystemTime) -> Result<(), Flaw> {
    if certificate.cert_type() != CertType::User {
        return Err(Flaw::WrongType(certificate.cert_type()));
    }
    check_time(certificate, now)
}

/// Whether this certificate, whose authority is trusted, is the host's of that name.
pub(crate) fn check_host(
    certificate: &Certificate,
    host: &str,
    now: SystemTime,
) -> Result<(), Flaw> {
    if certificate.cert_type() != CertType::Host {
        return Err(Flaw::WrongType(certificate.cert_type()));
    }
    if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa)
    {
        return Err(Flaw::Sha1);
    }
    check_time(certificate, now)?;
    let host = host.to_ascii_lowercase();
    let names = |name: &String| glob(name.to_ascii_lowercase().as_bytes(), host.as_bytes());
    if !certificate.valid_principals().iter().any(names) {
        return Err(Flaw::OtherHosts { listed: certificate.valid_principals().to_vec() });
    }
    if let Some((option, _)) = certificate.critical_options().iter().next() {
        return Err(Flaw::CriticalOption(option.clone()));
    }
    // That the authority is one of those trusted is for the files of known hosts to say.
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate.validate_at(seconds(now), [&authority]).map_err(|_| Flaw::Signature)
}

fn check_time(certificate: &Certificate, now: SystemTime) -> Result<(), Flaw> {
    let (now, from, at) = (seconds(now), certificate.valid_after(), certificate.valid_before());
    if now < from {
        return Err(Flaw::NotYetValid { from });
    }
    if now >= at { Err(Flaw::Expired { at }) } else { Ok(()) }
}

impl fmt::Display for Flaw {
    /// To be read behind "the certificate".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongType(CertType::Host) => f.write_str("is a host's, not a user's"),
            Self::WrongType(CertType::User) => f.write_str("is a user's, not a host's"),
            Self::OtherKey => f.write_str("is for another key"),
            Self::NotYetValid { from } => write!(f, "is not valid before {}", Date(*from)),
            Self::Expired { at } => write!(f, "expired on {}", Date(*at)),
            Self::OtherHosts { listed } if listed.is_empty() => f.write_str("names no host"),
            Self::OtherHosts { listed } => write!(f, "is for {}", listed.join(", ")),
            Self::CriticalOption(name) => {
                write!(f, "has the critical option {name:?}, which is not known here")
            }
            Self::Sha1 => f.write_str("is signed with SHA-1"),
            Self::Signature => f.write_str("has a signature that is not its authority's"),
        }
    }
}

/// A point in time, in seconds since 1970, for people.
struct Date(u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > LAST_DATE {
            return f.write_str("a day after the year 9999");
        }
        let time = UNIX_EPOCH + Duration::from_secs(self.0);
        f.write_str(&httpdate::fmt_http_date(time))
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The last second of the year 9999.
const LAST_DATE: u64 = 253_402_300_799;

#[cfg(test)]
mod tests;
