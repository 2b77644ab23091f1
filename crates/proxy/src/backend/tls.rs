//! TLS with the database, verified against the endpoint's own name whatever was dialled.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use pgferry_config::{Database, TlsMode};
use pgferry_pg::message::frontend::SSL_REQUEST;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::roots;
use super::stream::{Backend, Security};
use crate::socket::Socket;

/// How TLS is done with one target.
pub(crate) enum Tls {
    Disabled,
    Verified { connector: TlsConnector, name: ServerName<'static>, security: Security },
}

/// Roots or a name that cannot be used. The user's fault, found at the start.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read or is no PEM.
    #[error("{}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The file has no certificate that can be a root.
    #[error("{} holds no certificate that can be a root", .0.display())]
    Empty(PathBuf),
    /// The system has no trust store.
    #[error("the system's trust store holds no certificate; set database.ca_file")]
    NoSystemRoots,
    /// No authority of RDS in the endpoint's region is built in.
    #[error(transparent)]
    NoRegion(#[from] pgferry_endpoint::NoRoots),
    /// A certificate that was built in is none. A bug.
    #[error("a root certificate that was built in cannot be read: {0}")]
    BuiltIn(rustls::pki_types::pem::Error),
    /// The endpoint's host cannot be in a certificate.
    #[error("`{0}` is no host name that a certificate can be for")]
    Name(String),
    /// The verifier refuses its configuration.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
}

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

impl Tls {
    pub(crate) fn new(database: &Database, host: &str) -> Result<Self, TrustError> {
        let security = match database.tls {
            TlsMode::Disable => return Ok(Self::Disabled),
            TlsMode::VerifyFull => Security::VerifiedFull,
            TlsMode::VerifyCa => Security::VerifiedChain,
        };
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| TrustError::Name(host.to_owned()))?;
        let roots = Arc::new(roots::of(database, host)?);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let setup = |error: &dyn std::fmt::Display| TrustError::Setup(error.to_string());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(&error))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| setup(&error))?;
        let verifier: Arc<dyn ServerCertVerifier> = match security {
            Security::VerifiedChain => Arc::new(AnyName(verifier)),
            Security::VerifiedFull | Security::Unverified => verifier,
        };
        // "dangerous" guards the verifier's choice: here it is webpki's own, whole, or without the
        // name where the user chose verify-ca.
        let config =
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok(Self::Verified { connector: TlsConnector::from(Arc::new(config)), name, security })
    }

    /// Asks for TLS and does the handshake, or leaves the socket as it is where TLS is disabled.
    ///
    /// Exactly one byte is read before the handshake, so that bytes injected behind it cannot be
    /// taken for the server's (CVE-2021-23222).
    ///
    /// Cancel safety: none; dropping it closes the connection.
    pub(crate) async fn connect(
        &self,
        mut socket: Socket,
    ) -> Result<(Backend, Security), TlsError> {
        let Self::Verified { connector, name, security } = self else {
            return Ok((Backend::Plain(socket), Security::Unverified));
        };
        socket.write_all(&SSL_REQUEST).await.map_err(TlsError::Io)?;
        let mut answer = [0];
        match socket.read_exact(&mut answer).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(TlsError::Closed);
            }
            other => other.map_err(TlsError::Io)?,
        };
        match answer {
            [b'S'] => {}
            [b'N'] => return Err(TlsError::Refused),
            // Its words are not passed on: nothing says yet that they are its own.
            [b'E'] => return Err(TlsError::NotReady),
            [other] => return Err(TlsError::NotPostgres(other)),
        }
        let stream = connector.connect(name.clone(), socket).await.map_err(TlsError::from_io)?;
        Ok((Backend::Tls(Box::new(stream)), *security))
    }
}

impl TlsError {
    fn from_io(error: io::Error) -> Self {
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
            other => Self::Handshake(other.clone()),
        }
    }
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

/// `verify-ca`: webpki's judgement, less the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The name is looked at last: chain, time and use have passed by then.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
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
