//! Throwaway certificate authorities and the certificates they issue.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::error::Error;

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

fn server_params(names: &[&str]) -> Result<CertificateParams, Error> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "pgferry throwaway server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Strict verifiers (Python 3.13, rustls with some policies) want the issuer named.
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
