//! The certificate authorities that a target believes.

use std::path::Path;

use pgferry_config::{Database, Roots};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::tls::TrustError;

/// Those of `ca_file` and no others, or else those that belong to the endpoint's name.
pub(super) fn of(database: &Database, host: &str) -> Result<RootCertStore, TrustError> {
    match &database.roots {
        Roots::File(file) => of_file(file),
        Roots::ByEndpoint => match pgferry_endpoint::Roots::of(host)? {
            pgferry_endpoint::Roots::System => of_system(),
            built_in => of_pem(built_in.pem()),
        },
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
