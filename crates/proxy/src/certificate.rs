//! A certificate and its private key, from the user's files.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;

/// A certificate that cannot be shown. The user's fault.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or is no PEM.
    #[error("{}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// There is no certificate in the file for it.
    #[error("cert_file: {} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key in the file for it, or an encrypted one.
    #[error(
        "key_file: {file} holds no private key that can be read; if it is encrypted, decrypt it \
         with: openssl pkey -in {file} -out KEY",
        file = .0.display()
    )]
    NoKey(PathBuf),
    /// Key and certificate do not belong together.
    #[error("key_file: {} is not the key of the first certificate in {}", .key.display(), .cert.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        cert: PathBuf,
    },
    /// TLS cannot be done with it.
    #[error("{}: {source}", .file.display())]
    Unusable {
        /// The certificate's file.
        file: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
}

impl CertificateError {
    /// What rustls says about a key, or about a key and its certificate.
    pub(crate) fn of(source: rustls::Error, cert_file: &Path, key_file: &Path) -> Self {
        match source {
            rustls::Error::InconsistentKeys(_) => {
                Self::Mismatch { key: key_file.to_owned(), cert: cert_file.to_owned() }
            }
            source => Self::Unusable { file: cert_file.to_owned(), source },
        }
    }
}

/// Reads the certificate with those of its intermediate authorities, and the key. Blocks.
pub(crate) fn read(cert_file: &Path, key_file: &Path) -> Result<CertifiedKey, CertificateError> {
    let unreadable = |source| CertificateError::Unreadable { file: cert_file.to_owned(), source };
    let certificates = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(CertificateError::NoCertificate(cert_file.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|source| match source {
        pem::Error::NoItemsFound => CertificateError::NoKey(key_file.to_owned()),
        source => CertificateError::Unreadable { file: key_file.to_owned(), source },
    })?;
    CertifiedKey::from_der(certificates, key, &rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|source| CertificateError::of(source, cert_file, key_file))
}
