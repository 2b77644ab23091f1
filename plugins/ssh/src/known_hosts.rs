//! The file format of known hosts, and what it says about a key: pure, without files.
//!
//! Source: sshd(8) of OpenSSH, "`SSH_KNOWN_HOSTS` FILE FORMAT". russh and ssh-key read
//! this format too, but know neither line numbers nor, together, wildcards, negation and markers.

use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// One line of a file of known hosts that can be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    marker: Marker,
    hosts: Hosts,
    /// The key as it travels on the wire; it starts with its type.
    key: Vec<u8>,
}

/// A line of a file, for messages: `/home/jo/.ssh/known_hosts:7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    CertAuthority,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    /// Comma-separated patterns with `*`, `?` and a leading `!`.
    Patterns(Vec<String>),
    Hashed {
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

/// What the known hosts say about a key that a bastion has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is this bastion's key.
    Known,
    /// Nothing is known about this bastion.
    Unknown,
    /// Other keys of this bastion are known, none of this type. The server was asked for those.
    OtherTypes {
        /// One of them.
        place: Place,
    },
    /// Another key of the same type is known.
    Changed {
        /// Where.
        place: Place,
        /// The fingerprint of the key that is known.
        known: String,
    },
    /// The key has been revoked.
    Revoked {
        /// Where.
        place: Place,
    },
    /// Only a certificate authority is known for this bastion, and it has shown a plain key.
    AuthorityOnly {
        /// Where.
        place: Place,
    },
}

/// Reads a file's text; lines that cannot be understood are left out, as OpenSSH does.
pub fn parse(file: &std::path::Path, text: &str) -> Vec<Entry> {
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            entry(line, || Place { file: file.to_owned(), line: index + 1 })
        })
        .collect()
}

/// What `entries` say about the `key` (in wire format) that the bastion at `host` and `port` shows.
pub fn verify(entries: &[Entry], host: &str, port: u16, key: &[u8]) -> Verdict {
    let verdict = verify_name(entries, &name(host, port), key);
    // Like OpenSSH: a key recorded for the bare name serves every port, but a different one there
    // says nothing about this port.
    if verdict != Verdict::Unknown || port == DEFAULT_PORT {
        return verdict;
    }
    match verify_name(entries, &host.to_ascii_lowercase(), key) {
        bare @ (Verdict::Known | Verdict::Revoked { .. }) => bare,
        _ => Verdict::Unknown,
    }
}

/// What the known hosts say about a certificate that a bastion has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Its authority is trusted for this bastion.
    Trusted,
    /// Its authority is not.
    Unknown,
    /// Its authority, or the key it certifies, has been revoked.
    Revoked {
        /// Where.
        place: Place,
    },
}

/// What `entries` say about a certificate for `key`, signed by `authority` (both in wire format),
/// that the bastion at `host` and `port` shows. An authority recorded for the bare name serves every
/// port, like a key.
pub fn judge_authority(
    entries: &[Entry],
    host: &str,
    port: u16,
    key: &[u8],
    authority: &[u8],
) -> Authority {
    let mut known = Authority::Unknown;
    for entry in covering(entries, host, port) {
        match entry.marker {
            Marker::Revoked if entry.key == key || entry.key == authority => {
                return Authority::Revoked { place: entry.place.clone() };
            }
            Marker::CertAuthority if entry.key == authority => known = Authority::Trusted,
            _ => {}
        }
    }
    known
}

/// Where a certificate authority stands that may vouch for this bastion.
pub fn authority_place<'a>(entries: &'a [Entry], host: &str, port: u16) -> Option<&'a Place> {
    let mut covering = covering(entries, host, port);
    covering.find(|entry| entry.marker == Marker::CertAuthority).map(|entry| &entry.place)
}

/// The types of the keys that are known for a bastion, like `ssh-ed25519`.
pub fn known_types(entries: &[Entry], host: &str, port: u16) -> Vec<String> {
    covering(entries, host, port)
        .filter(|entry| entry.marker == Marker::None)
        .map(|entry| key_type(&entry.key).to_owned())
        .collect()
}

fn covering<'a>(entries: &'a [Entry], host: &str, port: u16) -> impl Iterator<Item = &'a Entry> {
    let (name, bare) = (name(host, port), host.to_ascii_lowercase());
    entries.iter().filter(move |entry| entry.hosts.cover(&name) || entry.hosts.cover(&bare))
}

/// The line that makes a key known.
pub fn line(host: &str, port: u16, key: &[u8]) -> String {
    format!("{} {} {}", name(host, port), key_type(key), STANDARD.encode(key))
}

/// A key's fingerprint as `ssh-keygen -l` prints it.
pub fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, key)))
}

/// The name under which a bastion is looked up: `host`, or `[host]:port` off the default port.
pub fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == DEFAULT_PORT { host } else { format!("[{host}]:{port}") }
}

/// The type a key in wire format starts with; empty if the key is malformed.
///
/// Source: RFC 4253 section 6.6.
pub fn key_type(key: &[u8]) -> &str {
    key.split_first_chunk::<4>()
        .and_then(|(len, rest)| rest.get(..usize::try_from(u32::from_be_bytes(*len)).ok()?))
        .and_then(|name| std::str::from_utf8(name).ok())
        .unwrap_or_default()
}

fn verify_name(entries: &[Entry], name: &str, key: &[u8]) -> Verdict {
    let covering: Vec<_> = entries.iter().filter(|entry| entry.hosts.cover(name)).collect();
    let with = |marker: Marker| covering.iter().filter(move |entry| entry.marker == marker);
    if let Some(entry) = with(Marker::Revoked).find(|entry| entry.key == key) {
        return Verdict::Revoked { place: entry.place.clone() };
    }
    if with(Marker::None).any(|entry| entry.key == key) {
        return Verdict::Known;
    }
    if let Some(entry) = with(Marker::None).find(|e| key_type(&e.key) == key_type(key)) {
        return Verdict::Changed { place: entry.place.clone(), known: fingerprint(&entry.key) };
    }
    if let Some(entry) = with(Marker::None).next() {
        return Verdict::OtherTypes { place: entry.place.clone() };
    }
    match with(Marker::CertAuthority).next() {
        Some(entry) => Verdict::AuthorityOnly { place: entry.place.clone() },
        None => Verdict::Unknown,
    }
}

fn entry(line: &str, place: impl FnOnce() -> Place) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace().peekable();
    let first = fields.peek().filter(|first| !first.starts_with('#'))?;
    let marker = match *first {
        "@revoked" => Marker::Revoked,
        "@cert-authority" => Marker::CertAuthority,
        other if other.starts_with('@') => return None,
        _ => Marker::None,
    };
    let mut fields = fields.skip(usize::from(marker != Marker::None));
    let hosts = Hosts::parse(fields.next()?)?;
    let (kind, key) = (fields.next()?, STANDARD.decode(fields.next()?).ok()?);
    (key_type(&key) == kind).then(|| Entry { place: place(), marker, hosts, key })
}

impl Hosts {
    fn parse(field: &str) -> Option<Self> {
        let Some(hashed) = field.strip_prefix("|1|") else {
            return Some(Self::Patterns(field.split(',').map(str::to_ascii_lowercase).collect()));
        };
        let (salt, hash) = hashed.split_once('|')?;
        Some(Self::Hashed { salt: STANDARD.decode(salt).ok()?, hash: STANDARD.decode(hash).ok()? })
    }

    fn cover(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Self::Patterns(patterns) => {
                let mut covered = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        Some(excluded) if glob(excluded.as_bytes(), name.as_bytes()) => {
                            return false;
                        }
                        Some(_) => {}
                        None => covered |= glob(pattern.as_bytes(), name.as_bytes()),
                    }
                }
                covered
            }
        }
    }
}

/// Matches `*` and `?` in one pass: on a mismatch the last star takes one byte more.
pub(crate) fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at_pattern, mut at_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = name.get(at_name) {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                star = Some((at_pattern, at_name));
                at_pattern += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                at_pattern += 1;
                at_name += 1;
            }
            _ => {
                let Some((star_pattern, star_name)) = star else { return false };
                star = Some((star_pattern, star_name + 1));
                at_pattern = star_pattern + 1;
                at_name = star_name + 1;
            }
        }
    }
    pattern.get(at_pattern..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

pub(crate) const DEFAULT_PORT: u16 = 22;

#[cfg(test)]
mod tests;
