//! Throwaway certificate authorities and the certificates they issue.

use std::{io, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

use crate::error::{Context as _, Error};

/// A private certificate authority (ECDSA P-256).
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server certificate and its key, as PEM.
pub struct Certificate {
    certificate: String,
    key: String,
}

impl Authority {
    /// Makes a new authority; `name` is its common name.
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`] when the key cannot be made.
    pub fn new(name: &str) -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's own certificate: what a client trusts.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate valid for exactly `names`.
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`] when a name is not one.
    pub fn issue(&self, names: &[&str]) -> Result<Certificate, Error> {
        self.sign(&server_params(names)?)
    }

    /// Issues a certificate for `names` that ran out years ago.
    ///
    /// # Errors
    ///
    /// As [`Self::issue`].
    pub fn issue_expired(&self, names: &[&str]) -> Result<Certificate, Error> {
        let mut params = server_params(names)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Certificate, Error> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Certificate { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Certificate {
    /// The certificate.
    pub fn pem(&self) -> &str {
        &self.certificate
    }

    /// Its private key (PKCS #8).
    pub fn key_pem(&self) -> &str {
        &self.key
    }
}

impl Certificate {
    /// Accepts TLS with this certificate, for the protocols named.
    pub(crate) fn acceptor(&self, protocols: &[&[u8]]) -> Result<TlsAcceptor, Error> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(io::Error::other);
        let chain = chain.doing(|| "reading the certificate back".to_owned())?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        let key = key.map_err(io::Error::other).doing(|| "reading the key back".to_owned())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)
            .doing(|| "setting TLS up".to_owned())?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn server_params(names: &[&str]) -> Result<CertificateParams, Error> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "pgferry throwaway server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Strict verifiers (Python 3.13, rustls with some policies) want the issuer named.
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
