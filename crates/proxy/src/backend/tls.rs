//! TLS with the database, verified against the endpoint's own name whatever was dialled.

mod error;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgferry_endpoint::Kind;
use pgferry_pg::message::frontend::SSL_REQUEST;
use pgferry_pg::startup::ALPN;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

pub use self::error::TlsError;
pub(crate) use self::error::certificate_alert;
use super::roots::Authorities;
use super::stream::{Backend, Security};
use crate::socket::Socket;

/// How TLS is done with one endpoint.
#[derive(Clone)]
pub(crate) enum Tls {
    Disabled,
    Verified(Verified),
}

/// TLS whose certificate is checked.
#[derive(Clone)]
pub(crate) struct Verified {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    security: Security,
    /// Whether TLS may begin at once, and has not been in vain.
    direct: Option<Arc<AtomicBool>>,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// With the handshake, which saves a round trip.
    Direct,
    /// With an `SSLRequest`, which every server understands.
    Request,
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

impl Tls {
    /// For an endpoint of that name; without authorities there is no TLS. May read from disk.
    pub(super) fn new(authorities: Option<&Authorities>, host: &str) -> Result<Self, TrustError> {
        let Some(authorities) = authorities else { return Ok(Self::Disabled) };
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| TrustError::Name(host.to_owned()))?;
        let mut config = config(authorities, host)?;
        // Source: the Aurora DSQL user guide recommends `sslnegotiation=direct`.
        let direct = pgferry_endpoint::Endpoint::parse(host).kind == Kind::Dsql;
        if direct {
            config.alpn_protocols = vec![ALPN.to_vec()];
        }
        Ok(Self::Verified(Verified {
            config: Arc::new(config),
            name,
            security: authorities.security,
            direct: direct.then(Arc::default),
        }))
    }

    /// How far the other end will have been verified.
    pub(crate) fn security(&self) -> Security {
        match self {
            Self::Disabled => Security::Unverified,
            Self::Verified(verified) => verified.security,
        }
    }

    /// The ways to begin, in the order in which to try them.
    pub(crate) fn beginnings(&self) -> &'static [Beginning] {
        match self {
            Self::Verified(Verified { direct: Some(in_vain), .. })
                if !in_vain.load(Ordering::Relaxed) =>
            {
                &[Beginning::Direct, Beginning::Request]
            }
            _ => &[Beginning::Request],
        }
    }

    /// Notes that the endpoint does not understand TLS that begins at once.
    pub(crate) fn not_directly(&self) {
        if let Self::Verified(Verified { direct: Some(in_vain), .. }) = self {
            in_vain.store(true, Ordering::Relaxed);
        }
    }

    /// Does the handshake, after asking for it if that is how to begin; leaves the socket as it is where
    /// TLS is disabled. `certificate` is shown to a server that asks for one.
    ///
    /// Cancel safety: none; dropping it closes the connection.
    pub(crate) async fn connect(
        &self,
        mut socket: Socket,
        beginning: Beginning,
        certificate: Option<Arc<CertifiedKey>>,
    ) -> Result<(Backend, Security), TlsError> {
        let Self::Verified(verified) = self else {
            return Ok((Backend::Plain(socket), Security::Unverified));
        };
        if beginning == Beginning::Request {
            request(&mut socket).await?;
        }
        let connector = verified.connector(certificate);
        let stream =
            connector.connect(verified.name.clone(), socket).await.map_err(TlsError::from_io)?;
        // Somebody who just speaks TLS could be anything.
        if beginning == Beginning::Direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(TlsError::NoAlpn);
        }
        Ok((Backend::Tls(Box::new(stream)), verified.security))
    }
}

impl Verified {
    fn connector(&self, certificate: Option<Arc<CertifiedKey>>) -> TlsConnector {
        let Some(certificate) = certificate else {
            return TlsConnector::from(Arc::clone(&self.config));
        };
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certificate));
        TlsConnector::from(Arc::new(config))
    }
}

fn config(authorities: &Authorities, host: &str) -> Result<ClientConfig, TrustError> {
    let roots = authorities.of(host)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let setup = |error: &dyn std::fmt::Display| TrustError::Setup(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|error| setup(&error))?;
    let verifier: Arc<dyn ServerCertVerifier> = match authorities.security {
        Security::VerifiedChain => Arc::new(AnyName(verifier)),
        Security::VerifiedFull | Security::Unverified => verifier,
    };
    // "dangerous" guards the verifier's choice: here it is webpki's own, whole, or without the name
    // where the user chose verify-ca.
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Asks for TLS.
///
/// Exactly one byte is read, so that bytes injected behind it cannot be taken for the server's
/// (CVE-2021-23222).
async fn request(socket: &mut Socket) -> Result<(), TlsError> {
    socket.write_all(&SSL_REQUEST).await.map_err(TlsError::Io)?;
    let mut answer = [0];
    match socket.read_exact(&mut answer).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(TlsError::Closed);
        }
        other => other.map_err(TlsError::Io)?,
    };
    match answer {
        [b'S'] => Ok(()),
        [b'N'] => Err(TlsError::Refused),
        // Its words are not passed on: nothing says yet that they are its own.
        [b'E'] => Err(TlsError::NotReady),
        [other] => Err(TlsError::NotPostgres(other)),
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disabled => f.write_str("Disabled"),
            Self::Verified(Verified { name, security, .. }) => {
                write!(f, "{security:?} of {name:?}")
            }
        }
    }
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
