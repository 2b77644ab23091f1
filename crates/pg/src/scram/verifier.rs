//! What is kept of a password to check proofs of it.

use std::{borrow::Cow, fmt, num::NonZeroU32};

use hmac::{Hmac, KeyInit as _, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Salt of a verifier. PostgreSQL uses 16 bytes.
pub type Salt = [u8; 16];

/// The keys derived from a password. Deriving costs milliseconds and is meant to: derive once, keep.
pub struct Verifier {
    salt: Salt,
    iterations: NonZeroU32,
    stored_key: Zeroizing<[u8; 32]>,
    server_key: Zeroizing<[u8; 32]>,
}

impl Verifier {
    /// Iterations PostgreSQL uses unless told otherwise (`scram_iterations`).
    pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

    /// Derives the keys.
    pub fn derive(password: &[u8], salt: Salt, iterations: NonZeroU32) -> Self {
        let password = prepare(password);
        let salted = salted_password(&password, &salt, iterations);
        let client_key = Zeroizing::new(hmac(&*salted, &[b"Client Key"]));
        Self {
            salt,
            iterations,
            stored_key: Zeroizing::new(hash(&*client_key)),
            server_key: Zeroizing::new(hmac(&*salted, &[b"Server Key"])),
        }
    }

    pub(super) fn salt(&self) -> &Salt {
        &self.salt
    }

    pub(super) fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    pub(super) fn stored_key(&self) -> &[u8; 32] {
        &self.stored_key
    }

    pub(super) fn server_key(&self) -> &[u8; 32] {
        &self.server_key
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier([secret])")
    }
}

pub(super) fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SASLprep, or the bytes themselves where it does not apply. Source: `pg_be_scram_build_secret`.
fn prepare(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let prepared = str::from_utf8(password).ok().and_then(|text| stringprep::saslprep(text).ok());
    Zeroizing::new(match prepared {
        Some(Cow::Owned(text)) if !text.is_empty() => text.into_bytes(),
        _ => password.to_vec(),
    })
}

/// `Hi` of RFC 5802: PBKDF2 with one block.
fn salted_password(password: &[u8], salt: &Salt, iterations: NonZeroU32) -> Zeroizing<[u8; 32]> {
    let mac = keyed(password);
    let mut step: [u8; 32] = hmac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut sum = Zeroizing::new(step);
    for _ in 1..iterations.get() {
        let mut mac = mac.clone();
        mac.update(&step);
        step = mac.finalize().into_bytes().into();
        for (sum, step) in sum.iter_mut().zip(&step) {
            *sum ^= step;
        }
    }
    sum
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}
