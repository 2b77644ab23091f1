//! The certificate that proves pgferry to the database, where that is the credential.

use std::path::PathBuf;
use std::sync::Arc;

use pgferry_config::Credential;
use rustls::sign::CertifiedKey;

use crate::certificate::{self, CertificateError};

/// Its files. They are read anew for each session, so that a renewed certificate counts at once.
#[derive(Clone, Debug)]
pub(crate) struct ClientCertificate {
    cert_file: PathBuf,
    key_file: PathBuf,
}

impl ClientCertificate {
    /// That of a target, if its credential is one. The files are read once, so that a mistake shows at
    /// the start.
    pub(crate) fn new(credential: &Credential) -> Result<Option<Self>, CertificateError> {
        let Credential::ClientCert { cert_file, key_file, .. } = credential else {
            return Ok(None);
        };
        certificate::read(cert_file, key_file)?;
        Ok(Some(Self { cert_file: cert_file.clone(), key_file: key_file.clone() }))
    }

    /// Reads the files.
    ///
    /// # Errors
    /// They are gone or unusable now: the user's fault.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn read(&self) -> Result<Arc<CertifiedKey>, CertificateError> {
        let Self { cert_file, key_file } = self.clone();
        let file = cert_file.clone();
        let read = tokio::task::spawn_blocking(move || certificate::read(&cert_file, &key_file));
        match read.await {
            Ok(read) => read.map(Arc::new),
            Err(error) => {
                let source = rustls::Error::General(error.to_string());
                Err(CertificateError::Unusable { file, source })
            }
        }
    }
}
