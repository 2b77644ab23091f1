//! A credential that can be used now.

use std::time::SystemTime;

use secrecy::{ExposeSecret as _, SecretString};

use crate::DataApi;

/// A user and what proves it. Secrets are cleared from memory on drop and show in no `Debug` output.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The database user.
    pub user: String,
    /// What proves that pgferry may be that user.
    pub proof: Proof,
    /// When it is over, for credentials that end by themselves. Sessions that it opened go on.
    pub expires: Option<SystemTime>,
}

/// What proves a user to the database.
#[derive(Clone)]
pub enum Proof {
    /// A password, for whatever method the database asks for.
    Password(SecretString),
    /// A token of AWS: sent as a password in clear, and so inside verify-full TLS alone.
    Token(SecretString),
    /// The certificate that TLS has shown already.
    Certificate,
    /// What the application itself proves: its own login is carried to the database.
    Application,
    /// What the transport is told, which logs in itself.
    DataApi(DataApi),
}

impl Proof {
    /// The secret itself: for the one place that proves it to the database.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Password(secret) | Self::Token(secret) => Some(secret.expose_secret()),
            Self::Certificate | Self::Application | Self::DataApi(_) => None,
        }
    }
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Token(_) => "Token",
            Self::Certificate => "Certificate",
            Self::Application => "Application",
            Self::DataApi(_) => "DataApi",
        })
    }
}
