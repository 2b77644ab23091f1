//! TLS with the application, where a target has a certificate.

use std::io;
use std::sync::Arc;

use pgferry_pg::scram::EndPoint;
use pgferry_pg::startup::{ALPN, StartupError, check_direct_tls_alpn};
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::stream::Frontend;
use crate::binding::end_point;
use crate::socket::Socket;
use crate::stream::Stream;

/// A certificate that is shown to applications, ready for handshakes.
pub(crate) struct Shown {
    config: Arc<ServerConfig>,
    /// What binds a SCRAM proof to it.
    pub(crate) end_point: Option<EndPoint>,
}

/// Why TLS with the application failed. Its own fault, or that of who set it up.
#[derive(Debug, thiserror::Error)]
pub enum LocalTlsError {
    /// It does not believe the certificate.
    #[error(
        "the client refuses the certificate ({0:?}): check its sslrootcert and the host it names"
    )]
    Untrusted(AlertDescription),
    /// It sent something else than TLS.
    #[error("the client sent no TLS handshake: {0}")]
    NotTls(rustls::Error),
    /// Another flaw of the handshake.
    #[error("the handshake failed: {0}")]
    Handshake(rustls::Error),
    /// It left in the middle.
    #[error("the client left during the handshake: {0}")]
    Lost(io::Error),
}

impl LocalTlsError {
    /// A word from a closed set, for the metric's `reason`.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Untrusted(_) => "local_tls_untrusted",
            Self::NotTls(_) | Self::Handshake(_) => "local_tls_handshake",
            Self::Lost(_) => "client_gone",
        }
    }

    fn from_io(error: io::Error) -> Self {
        use AlertDescription::{
            BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA,
            UnsupportedCertificate,
        };
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            None => Self::Lost(error),
            Some(rustls::Error::AlertReceived(
                alert @ (BadCertificate
                | CertificateExpired
                | CertificateUnknown
                | UnknownCA
                | UnsupportedCertificate),
            )) => Self::Untrusted(*alert),
            Some(error @ rustls::Error::InvalidMessage(_)) => Self::NotTls(error.clone()),
            Some(error) => Self::Handshake(error.clone()),
        }
    }
}

impl Shown {
    /// Sessions are not resumed, as with PostgreSQL: a ticket would have to outlive the certificate
    /// that a SCRAM proof is bound to.
    ///
    /// **Errors**: none for a certificate whose key can sign.
    pub(crate) fn new(
        certificate: CertifiedKey,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::Error> {
        let end_point = certificate.cert.first().and_then(end_point).map(EndPoint);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), end_point })
    }

    /// Does the handshake. When it fails, TLS's own alert has been sent, and the stream is as it was
    /// before, for closing.
    ///
    /// Cancel safety: none; dropping it closes the connection and leaves the stream gone.
    pub(crate) async fn accept(&self, stream: &mut Frontend) -> Result<(), LocalTlsError> {
        let socket = match std::mem::replace(stream, Stream::Gone) {
            Stream::Plain(socket) => socket,
            other => {
                *stream = other;
                return Ok(());
            }
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        match acceptor.accept(socket).into_fallible().await {
            Ok(tls) => {
                *stream = Stream::Tls(Box::new(tls));
                Ok(())
            }
            Err((error, socket)) => {
                *stream = Stream::Plain(socket);
                Err(LocalTlsError::from_io(error))
            }
        }
    }
}

/// Checks what a handshake without asking has to agree on.
pub(crate) fn check_direct(stream: &Frontend) -> Result<(), StartupError> {
    let agreed = match stream {
        Stream::Tls(tls) => tls.get_ref().1.alpn_protocol(),
        Stream::Plain(_) | Stream::Gone => None,
    };
    check_direct_tls_alpn(agreed)
}

/// The first byte an application sends, which stays unread; `None` if it closes instead or the
/// listener is none for TLS.
pub(crate) async fn first_byte(socket: &Socket) -> io::Result<Option<u8>> {
    let Socket::Tcp(stream) = socket else { return Ok(None) };
    let mut byte = [0];
    let count = stream.peek(&mut byte).await?;
    Ok((count > 0).then_some(byte[0]))
}
