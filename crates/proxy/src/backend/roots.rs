//! The certificate authorities that a target believes.

use std::path::Path;
use std::sync::Arc;

use pgferry_config::{Database, Roots, TlsMode};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::stream::Security;
use super::tls::TrustError;

/// Whose signature counts, and how far a certificate is checked.
pub(super) struct Authorities {
    /// Those of `ca_file` and no others; without, those that belong to an endpoint's name.
    file: Option<Arc<RootCertStore>>,
    pub(super) security: Security,
}

impl Authorities {
    /// Reads `ca_file`, if there is one. `None` where TLS is disabled.
    pub(super) fn new(database: &Database) -> Result<Option<Self>, TrustError> {
        let security = match database.tls {
            TlsMode::Disable => return Ok(None),
            TlsMode::VerifyFull => Security::VerifiedFull,
            TlsMode::VerifyCa => Security::VerifiedChain,
        };
        let file = match &database.roots {
            Roots::ByEndpoint => None,
            Roots::File(file) => Some(Arc::new(of_file(file)?)),
        };
        Ok(Some(Self { file, security }))
    }

    /// Those that count for a host.
    pub(super) fn of(&self, host: &str) -> Result<Arc<RootCertStore>, TrustError> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let roots = match pgferry_endpoint::Roots::of(host)? {
            pgferry_endpoint::Roots::System => of_system()?,
            built_in => of_pem(built_in.pem())?,
        };
        Ok(Arc::new(roots))
    }
}

fn of_system() -> Result<RootCertStore, TrustError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() { Err(TrustError::NoSystemRoots) } else { Ok(store) }
}

fn of_pem<'p>(pems: impl Iterator<Item = &'p str>) -> Result<RootCertStore, TrustError> {
    let mut store = RootCertStore::empty();
    for certificate in pems.flat_map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes())) {
        store.add_parsable_certificates([certificate.map_err(TrustError::BuiltIn)?]);
    }
    Ok(store)
}

fn of_file(file: &Path) -> Result<RootCertStore, TrustError> {
    let unreadable = |source| TrustError::Unreadable { file: file.to_owned(), source };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        store.add_parsable_certificates([certificate.map_err(unreadable)?]);
    }
    if store.is_empty() { Err(TrustError::Empty(file.to_owned())) } else { Ok(store) }
}

#[cfg(test)]
mod tests;
