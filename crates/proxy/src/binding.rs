//! The channel binding of a TLS connection: what ties a SCRAM proof to the certificate.

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::backend::stream::Backend;

/// `tls-server-end-point`: the certificate's hash by its own signature's hash function, with SHA-256
/// in place of MD5 and SHA-1. `None` without TLS, or where the signature names no hash function.
///
/// Source: RFC 5929, section 4.1.
pub(crate) fn tls_server_end_point(backend: &Backend) -> Option<Vec<u8>> {
    let Backend::Tls(stream) = backend else { return None };
    let (_, connection) = stream.get_ref();
    end_point(connection.peer_certificates()?.first()?)
}

/// The same of a certificate at hand.
pub(crate) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    // Source for the numbers: RFC 8017 appendix C, RFC 5758 section 3.2.
    match parsed.signature_algorithm().oid.to_string().as_str() {
        "1.2.840.113549.1.1.4" // md5WithRSAEncryption
        | "1.2.840.113549.1.1.5" // sha1WithRSAEncryption
        | "1.2.840.113549.1.1.11" // sha256WithRSAEncryption
        | "1.2.840.10045.4.1" // ecdsa-with-SHA1
        | "1.2.840.10045.4.3.2" // ecdsa-with-SHA256
        => Some(Sha256::digest(certificate).to_vec()),
        "1.2.840.113549.1.1.12" // sha384WithRSAEncryption
        | "1.2.840.10045.4.3.3" // ecdsa-with-SHA384
        => Some(Sha384::digest(certificate).to_vec()),
        "1.2.840.113549.1.1.13" // sha512WithRSAEncryption
        | "1.2.840.10045.4.3.4" // ecdsa-with-SHA512
        => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    };

    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> CertificateDer<'static> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_hash_follows_the_certificates_signature() {
        let p256 = certificate(&PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point(&p256).unwrap(), Sha256::digest(&p256).to_vec());
        let p384 = certificate(&PKCS_ECDSA_P384_SHA384);
        assert_eq!(end_point(&p384).unwrap(), Sha384::digest(&p384).to_vec());
    }

    #[test]
    fn a_signature_without_a_hash_function_gives_no_binding() {
        assert_eq!(end_point(&certificate(&PKCS_ED25519)), None);
        assert_eq!(end_point(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
