//! Why there is no TLS with the database.

use std::io;

use rustls::{AlertDescription, CertificateError};

/// Why TLS with the database failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It answered `N`. Its administrator's choice, or somebody in the middle.
    #[error("the server does not speak TLS")]
    Refused,
    /// It answered with an error, which PostgreSQL does when it cannot start a process.
    #[error("the server refused the connection before TLS began")]
    NotReady,
    /// It answered the request with something else: it is no PostgreSQL server.
    #[error("the server answered the TLS request with byte {0:#04x}: it does not speak PostgreSQL")]
    NotPostgres(u8),
    /// Its certificate is for another name.
    #[error("the server's certificate is not for \"{expected}\"{}", for_names(.presented))]
    WrongName {
        /// The name that was configured.
        expected: String,
        /// The names it is for.
        presented: Vec<String>,
    },
    /// Its certificate was signed by somebody we do not trust.
    #[error(
        "the server's certificate is not signed by a certificate authority that is trusted here"
    )]
    UnknownIssuer,
    /// Its certificate has run out.
    #[error("the server's certificate has expired")]
    Expired,
    /// It refused our own certificate, or wants one.
    #[error("the server refused our certificate: {0:?}")]
    OurCertificate(AlertDescription),
    /// It did not say that it speaks PostgreSQL inside TLS.
    #[error("the server does not name PostgreSQL as what it speaks inside TLS")]
    NoAlpn,
    /// Another flaw of certificate or handshake.
    #[error("the TLS handshake failed: {0}")]
    Handshake(rustls::Error),
    /// The path broke.
    #[error("the connection broke during TLS: {0}")]
    Io(io::Error),
    /// The path was closed.
    #[error("the connection was closed before TLS began")]
    Closed,
}

impl TlsError {
    /// Whether it may only be that the server does not expect TLS without a request. What is wrong
    /// with its certificate is wrong either way.
    pub(crate) fn may_need_a_request(&self) -> bool {
        matches!(self, Self::NoAlpn | Self::Handshake(_) | Self::Io(_) | Self::Closed)
    }

    pub(super) fn from_io(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls) = inner else { return Self::Io(error) };
        match rustls {
            rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                expected,
                presented,
            }) => Self::WrongName {
                expected: expected.to_str().into_owned(),
                presented: presented.clone(),
            },
            // An authority that was made anew keeps its name: then only the signature is wrong.
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => Self::UnknownIssuer,
            rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => Self::Expired,
            rustls::Error::AlertReceived(alert) if is_about_our_certificate(*alert) => {
                Self::OurCertificate(*alert)
            }
            other => Self::Handshake(other.clone()),
        }
    }
}

/// The alert of a server that refuses our certificate, or misses it. With TLS 1.3 it comes when the
/// handshake is over on our side.
pub(crate) fn certificate_alert(error: &io::Error) -> Option<AlertDescription> {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) if is_about_our_certificate(*alert) => {
            Some(*alert)
        }
        _ => None,
    }
}

fn is_about_our_certificate(alert: AlertDescription) -> bool {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, UnknownCA, UnsupportedCertificate,
    };
    matches!(
        alert,
        AccessDenied
            | BadCertificate
            | CertificateExpired
            | CertificateRequired
            | CertificateRevoked
            | CertificateUnknown
            | UnknownCA
            | UnsupportedCertificate
    )
}

fn for_names(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| plain(name)).collect();
    if names.is_empty() { String::new() } else { format!("; it is for {}", names.join(", ")) }
}

/// rustls gives a name as Rust writes it: `DnsName("db.example")`.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::for_names;

    #[test]
    fn the_names_of_a_certificate_are_shown_as_people_write_them() {
        let names = ["DnsName(\"db.example\")".to_owned(), "IpAddress(10.0.0.1)".to_owned()];
        assert_eq!(for_names(&names), "; it is for db.example, 10.0.0.1");
        assert_eq!(for_names(&[]), "");
    }
}
