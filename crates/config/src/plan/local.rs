//! What a target's listeners ask of applications.

use std::path::PathBuf;

use crate::secret::Secret;

/// Who may connect to a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAuth {
    /// Processes of the user who runs pgferry, and root.
    SameUser,
    /// Whoever knows the password.
    Scram {
        /// The only user name that is accepted, if one is set.
        user: Option<String>,
        /// The password.
        password: LocalPassword,
    },
    /// Everyone.
    Trust,
}

/// The password of a `scram` listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalPassword {
    /// The first line of a file that only its owner can read.
    File(PathBuf),
    /// Made by this process for this process: it is in no file.
    Generated(Secret),
}

/// TLS between applications and a target's TCP listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTls {
    /// What pgferry shows.
    pub identity: LocalIdentity,
    /// Whether sessions without TLS are refused.
    pub required: bool,
}

/// What pgferry shows to applications as its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalIdentity {
    /// The user's own.
    Certificate {
        /// The certificate, then those of intermediate authorities, as PEM.
        cert_file: PathBuf,
        /// Its private key, as PEM.
        key_file: PathBuf,
    },
    /// One that the local CA of this directory issues.
    LocalCa {
        /// Where the CA is kept.
        directory: PathBuf,
    },
}
