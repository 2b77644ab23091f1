//! TLS to AWS: whom to believe.

use std::path::Path;
use std::sync::Arc;

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use pgferry_transport_sdk::Error;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// The certificates to trust: those of a bundle, or the system's.
#[derive(Clone)]
pub enum Roots {
    /// Those of the system.
    System,
    /// Those of a bundle, in PEM.
    Bundle(Vec<u8>),
}

impl Roots {
    /// Reads the bundle, if there is one.
    ///
    /// Errors: denied, with the path; `CONFIG` would disable the transport after the bundle is mended.
    pub fn load(bundle: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = bundle else { return Ok(Self::System) };
        let unusable = |what: String| {
            Error::denied(format!("the CA bundle {} {what}", path.display()))
                .with_hint("check ca_bundle in the AWS profile, or AWS_CA_BUNDLE")
        };
        let pem = std::fs::read(path).map_err(|e| unusable(format!("cannot be read: {e}")))?;
        let mut certificates = CertificateDer::pem_slice_iter(&pem);
        match certificates.next() {
            Some(Ok(_)) => Ok(Self::Bundle(pem)),
            Some(Err(error)) => Err(unusable(format!("is not PEM: {error}"))),
            None => Err(unusable("holds no certificate".to_owned())),
        }
    }

    /// For the SDK's calls.
    pub fn context(&self) -> Result<TlsContext, Error> {
        let store = match self {
            Self::System => TrustStore::default(),
            Self::Bundle(pem) => TrustStore::empty().with_pem_certificate(pem.as_slice()),
        };
        let context = TlsContext::builder().with_trust_store(store).build();
        context.map_err(|error| Error::denied(format!("the trusted certificates: {error}")))
    }

    /// For the data channel, which speaks HTTP/1.1 alone.
    pub fn client(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut store = RootCertStore::empty();
        match self {
            Self::System => {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Self::Bundle(pem) => {
                let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
                store.add_parsable_certificates(certificates);
            }
        }
        if store.is_empty() {
            return Err(Error::denied("this system trusts no certificate at all")
                .with_hint("install its package of CA certificates, or set ca_bundle"));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal(format!("TLS: {error}")))?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}
