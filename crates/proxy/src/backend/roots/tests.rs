#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use pgferry_config::{Location, TlsMode};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PKCS_RSA_SHA384, RsaKeySize,
};
use rustls::CertificateError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{ServerName, UnixTime};

use super::*;

const HOST: &str = "db.cluster-c9abc.us-east-1.rds.amazonaws.com";

/// An authority that calls itself as RDS's do, and has another key.
struct StandIn {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl StandIn {
    fn new(region: &str, algorithm: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        let name = format!("Amazon RDS {region} Root CA {algorithm} G1");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn server(&self) -> CertificateDer<'static> {
        let params = CertificateParams::new([HOST.to_owned()]).unwrap();
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().into()
    }
}

/// What a target with these roots says to a server's certificate.
fn judged(roots: RootCertStore, server: &CertificateDer<'_>) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    verifier.verify_server_cert(server, &[], &name, &[], UnixTime::now()).map(drop)
}

fn of(host: &str, file: Option<PathBuf>) -> Result<RootCertStore, TrustError> {
    let database = Database {
        location: Location::Host(host.to_owned()),
        port: None,
        address: None,
        name: None,
        tls: TlsMode::VerifyFull,
        roots: file.map_or(Roots::ByEndpoint, Roots::File),
    };
    let authorities = Authorities::new(&database)?.unwrap();
    Ok(RootCertStore::clone(&*authorities.of(host)?))
}

fn unknown() -> Result<(), rustls::Error> {
    Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))
}

#[test]
fn servers_count_under_their_own_root_alone_whichever_of_rdss_algorithms_it_uses() {
    let rsa = |algorithm, size| KeyPair::generate_rsa_for(algorithm, size).unwrap();
    let ecc = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let authorities = [
        StandIn::new("us-east-1", "RSA2048", rsa(&PKCS_RSA_SHA256, RsaKeySize::_2048)),
        StandIn::new("us-east-1", "RSA4096", rsa(&PKCS_RSA_SHA384, RsaKeySize::_4096)),
        StandIn::new("us-east-1", "ECC384", ecc),
    ];
    for (at, authority) in authorities.iter().enumerate() {
        for (other_at, other) in authorities.iter().enumerate() {
            let roots = of_pem([authority.pem.as_str()].into_iter()).unwrap();
            let expected = if at == other_at { Ok(()) } else { unknown() };
            assert_eq!(judged(roots, &other.server()), expected);
        }
    }
}

#[test]
fn a_server_of_another_region_is_refused_until_ca_file_replaces_everything() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let elsewhere = StandIn::new("eu-west-1", "ECC384", key);
    let built_in = of(HOST, None).unwrap();
    assert_eq!(built_in.len(), 3);
    assert!(built_in.roots.iter().all(|root| {
        String::from_utf8_lossy(&root.subject).contains("Amazon RDS us-east-1 Root CA")
    }));
    assert_eq!(judged(built_in, &elsewhere.server()), unknown());

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    fs::write(&file, &elsewhere.pem).unwrap();
    let replaced = of(HOST, Some(file)).unwrap();
    assert_eq!(replaced.len(), 1);
    assert_eq!(judged(replaced, &elsewhere.server()), Ok(()));
}

#[test]
fn every_built_in_root_is_taken() {
    let global = of("g.global-c9abc.global.rds.amazonaws.com", None).unwrap();
    assert_eq!(global.len(), 27 * 3);
    let proxy = of("p.proxy-c9abc.eu-west-1.rds.amazonaws.com", None).unwrap();
    assert_eq!(proxy.len(), 5);
}

#[test]
fn a_region_without_roots_is_refused_unless_a_file_has_them() {
    let host = "db.c9abc.il-central-1.rds.amazonaws.com";
    let Err(error) = of(host, None) else { unreachable!("there are none") };
    assert!(matches!(error, TrustError::NoRegion(_)), "{error:?}");
    assert!(error.to_string().contains("il-central-1"), "{error}");

    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    fs::write(&file, StandIn::new("il-central-1", "ECC384", key).pem).unwrap();
    assert_eq!(of(host, Some(file)).unwrap().len(), 1);
}
