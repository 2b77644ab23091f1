//! What is proposed to the bastion: ciphers, host key algorithms, the size of the window.

use std::borrow::Cow;
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, client, compression};

use crate::hop::Hop;

/// What is known of a bastion's host keys before it shows one.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The types of its keys, as a file of known hosts writes them.
    pub(crate) types: Vec<String>,
    /// Whether an authority may vouch for it.
    pub(crate) authority: bool,
}

/// The session settings for a bastion at a given distance, whose known key types come first.
pub(crate) fn session(hop: &Hop, known: &Known, distance: Duration) -> client::Config {
    let keys = host_keys(&known.types);
    // A bastion asked for certificates shows no plain key if it has one: only who knows an authority
    // can judge it.
    let certificates = if known.authority { keys.clone() } else { Vec::new() };
    client::Config {
        window_size: window(distance),
        maximum_packet_size: MAX_PACKET,
        channel_buffer_size: CHANNEL_BUFFER,
        preferred: Preferred {
            key: Cow::Owned(keys),
            host_key_certificates: Cow::Owned(certificates),
            cipher: Cow::Borrowed(if has_aes() { AES_FIRST } else { CHACHA_FIRST }),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        inactivity_timeout: None,
        keepalive_interval: Some(hop.keepalive_interval),
        keepalive_max: usize::from(hop.keepalive_max),
        ..client::Config::default()
    }
}

/// How many bytes the bastion may send ahead on one channel.
///
/// A window is worth its size divided by the round trip, and russh opens it again only once half of
/// it is used up: twice what a fast path holds in flight. russh never changes it afterwards (its
/// client ignores what `Handler::adjust_window` returns), so it is chosen once for a connection. It
/// bounds no memory: what waits here for a slow reader is bounded by `CHANNEL_BUFFER`.
fn window(distance: Duration) -> u32 {
    let in_flight = distance.as_micros().saturating_mul(FAST_PATH_BYTES_PER_MICROSECOND);
    let doubled = u32::try_from(in_flight.saturating_mul(2)).unwrap_or(u32::MAX);
    doubled.clamp(MIN_WINDOW, MAX_WINDOW)
}

/// Host key algorithms in the order to ask for them: a server with several host keys must show
/// the one that is known, or it would look changed. SHA-1 signatures are not offered.
fn host_keys(known: &[String]) -> Vec<Algorithm> {
    let mut algorithms = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ];
    // Stable: the preference above decides among those known, and among those not known.
    algorithms.sort_by_key(|algorithm| !known.iter().any(|name| name == key_type(algorithm)));
    algorithms
}

/// The name under which a key for this algorithm stands in a file of known hosts.
///
/// Source: RFC 8332 section 3: `rsa-sha2-256` and `-512` use keys of type `ssh-rsa`.
fn key_type(algorithm: &Algorithm) -> &str {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa",
        other => other.as_str(),
    }
}

/// Whether the CPU has instructions for AES; without them chacha20 is faster.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
    return false;
}

const AES_FIRST: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const CHACHA_FIRST: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// About 4 Gbit/s: what one connection of this program carries at best.
const FAST_PATH_BYTES_PER_MICROSECOND: u128 = 500;
const MIN_WINDOW: u32 = 2 * 1024 * 1024;
const MAX_WINDOW: u32 = 64 * 1024 * 1024;
/// OpenSSH sends no larger packets itself; russh allows up to 65535.
const MAX_PACKET: u32 = 64 * 1024 - 1;
/// How many packets wait for a reader that is slower than the bastion: some MiB of full packets.
///
/// Beyond that russh reads nothing more from the bastion, for any channel: it opens a channel's
/// window again when data arrives, not when it is read, and so cannot slow down one channel alone
/// (russh pull request 730). Hence `sessions_per_connection`.
const CHANNEL_BUFFER: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_with_the_distance_within_its_bounds() {
        assert_eq!(window(Duration::ZERO), MIN_WINDOW);
        assert_eq!(window(Duration::from_millis(40)), 40_000_000);
        assert_eq!(window(Duration::from_secs(3)), MAX_WINDOW);
        assert_eq!(window(Duration::MAX), MAX_WINDOW);
    }

    #[test]
    fn known_key_types_are_asked_for_first() {
        let order = host_keys(&["ssh-rsa".to_owned(), "ecdsa-sha2-nistp384".to_owned()]);
        let names: Vec<_> = order.iter().map(Algorithm::as_str).collect();
        assert_eq!(names.len(), 6);
        assert_eq!(names[..3], ["ecdsa-sha2-nistp384", "rsa-sha2-512", "rsa-sha2-256"]);
        assert_eq!(names[3], "ssh-ed25519");
    }

    #[test]
    fn a_signature_with_sha_1_is_never_proposed() {
        assert!(!host_keys(&["ssh-rsa".to_owned()]).iter().any(|a| a.as_str() == "ssh-rsa"));
    }
}
