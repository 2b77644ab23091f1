//! AWS Signature Version 4: making signatures and, more to the point, refusing wrong ones.
//!
//! Written from the specification alone, with HMAC and SHA-256 and no AWS crate, so that a
//! misreading in the code under test is not shared by what judges it.
//!
//! Source: "AWS Signature Version 4 for API requests", IAM User Guide.

use std::fmt;

use canonical::Canonical;
pub(crate) use canonical::pairs;
pub use claim::Claim;
pub(crate) use date::extended;
pub use date::{parse_timestamp, timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
pub use refusal::Refusal;
use sha2::{Digest as _, Sha256};
pub(crate) use signer::presign_path;
pub use signer::{presign, sign};

mod canonical;
mod claim;
mod date;
mod refusal;
mod signer;

/// A key as an SDK holds it. Debug shows its id alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The public half: `AKIA…` for ever, `ASIA…` for a session.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
    /// What a temporary key has to show besides.
    pub session_token: Option<String>,
}

/// A request as it came over the wire: nothing decoded, nothing sorted.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query string without its `?`, still percent-encoded.
    pub query: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// What a signature is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `YYYYMMDD`, in UTC.
    pub date: String,
    /// The region, such as `us-east-1`.
    pub region: String,
    /// The service's signing name, such as `rds-db`.
    pub service: String,
}

impl Request {
    /// The value of a header that must be there once; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// The signature of `canonical` by `secret`, in hex.
fn signature(secret: &str, scope: &Scope, time: &str, canonical: &Canonical) -> String {
    let digest = sha256_hex(canonical.text().as_bytes());
    let string_to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{digest}");
    let mut key = hmac(format!("AWS4{secret}").as_bytes(), scope.date.as_bytes());
    for part in [scope.region.as_str(), scope.service.as_str(), "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    hex(&hmac(&key, string_to_sign.as_bytes()))
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length: the error cannot happen.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// How far a request's time may be from the service's, in seconds.
pub(crate) const SKEW: u64 = 5 * 60;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
