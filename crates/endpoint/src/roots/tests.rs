#![allow(clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};

use super::*;

/// 2026-11-22, when they were collected.
const COLLECTED: i64 = 1_795_305_600;
const DAY: i64 = 24 * 60 * 60;

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all: Result<_, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.expect("PEM")
}

fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> X509Certificate<'a> {
    let (rest, parsed) = X509Certificate::from_der(certificate).expect("a certificate");
    assert!(rest.is_empty(), "bytes behind {}", parsed.subject());
    parsed
}

fn common_name(certificate: &X509Certificate<'_>) -> String {
    let mut names = certificate.subject().iter_common_name();
    names.next().expect("a name").as_str().expect("text").to_owned()
}

/// Every certificate in this build, with the region whose file it lies in.
fn shipped() -> Vec<(&'static str, CertificateDer<'static>)> {
    let files = RDS.iter().copied().chain([("", AMAZON_TRUST)]);
    files
        .flat_map(|(region, pem)| certificates(pem).into_iter().map(move |c| (region, c)))
        .collect()
}

#[test]
fn every_region_has_its_three_authorities_and_nothing_else() {
    for (region, pem) in RDS {
        let names: Vec<_> = certificates(pem).iter().map(|c| common_name(&parsed(c))).collect();
        let expected = ["RSA2048", "RSA4096", "ECC384"]
            .map(|algorithm| format!("Amazon RDS {region} Root CA {algorithm} G1"));
        assert_eq!(names, expected);
    }
}

#[test]
fn amazons_public_authorities_are_these_five() {
    let names: Vec<_> =
        certificates(AMAZON_TRUST).iter().map(|c| common_name(&parsed(c))).collect();
    let expected = [
        "Amazon Root CA 1",
        "Amazon Root CA 2",
        "Amazon Root CA 3",
        "Amazon Root CA 4",
        "Starfield Services Root Certificate Authority - G2",
    ];
    assert_eq!(names, expected);
}

/// With the very algorithms that judge servers later: RSA-4096 and P-384 are among them.
#[test]
fn every_certificate_is_an_authority_that_signed_itself() {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    for (_, certificate) in shipped() {
        let parsed = parsed(&certificate);
        let name = common_name(&parsed);
        assert_eq!(parsed.subject().as_raw(), parsed.issuer().as_raw(), "{name}");
        assert!(parsed.is_ca(), "{name}");
        let usage = parsed.key_usage().expect("well-formed").expect("a key usage");
        assert!(usage.value.key_cert_sign(), "{name}");
        let key = &parsed.public_key().subject_public_key.data;
        let message = parsed.tbs_certificate.as_ref();
        let signature = &parsed.signature_value.data;
        let algorithms = provider.signature_verification_algorithms.all;
        let verifies =
            algorithms.iter().any(|by| by.verify_signature(key, message, signature).is_ok());
        assert!(verifies, "the signature of {name}");
    }
}

#[test]
fn rustls_takes_every_certificate_as_a_root() {
    let mut store = rustls::RootCertStore::empty();
    for (_, certificate) in shipped() {
        store.add(certificate).expect("a root");
    }
    assert_eq!(store.len(), RDS.len() * 3 + 5);
}

#[test]
fn no_certificate_is_there_twice() {
    let shipped = shipped();
    let different: HashSet<_> = shipped.iter().map(|(_, certificate)| certificate).collect();
    assert_eq!(different.len(), shipped.len());
}

#[test]
fn every_certificate_was_good_for_ten_years_when_it_was_collected() {
    for (_, certificate) in shipped() {
        let validity = parsed(&certificate).validity().clone();
        let name = common_name(&parsed(&certificate));
        assert!(validity.not_before.timestamp() < COLLECTED, "{name}");
        assert!(validity.not_after.timestamp() > COLLECTED + 3650 * DAY, "{name}");
    }
}

/// Goes by the real clock and fails on purpose, in 2037 at the earliest: a build that is made then
/// needs new roots before it goes out.
#[test]
fn no_certificate_expires_within_ninety_days() {
    let soon = ASN1Time::now().timestamp() + 90 * DAY;
    for (_, certificate) in shipped() {
        let parsed = parsed(&certificate);
        let (name, end) = (common_name(&parsed), parsed.validity().not_after);
        assert!(end.timestamp() > soon, "{name} ends {end}: renew roots/ as its README says");
    }
}

#[test]
fn every_file_of_the_directory_is_in_the_build_and_its_readme() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("roots");
    let readme = fs::read_to_string(directory.join("README.md")).expect("a README");
    let files = fs::read_dir(&directory).expect("a directory");
    let there: BTreeSet<String> = files
        .filter_map(|file| Some(file.expect("a file").file_name().to_str()?.to_owned()))
        .filter_map(|name| name.strip_suffix(".pem").map(str::to_owned))
        .collect();
    let built = RDS.iter().map(|(region, _)| (*region).to_owned());
    assert_eq!(there, built.chain(["amazon-trust".to_owned()]).collect());
    for name in there {
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in the README");
    }
}

#[test]
fn the_kind_and_the_region_of_an_endpoint_choose_its_roots() {
    let west = "eu-west-1.rds.amazonaws.com";
    for (host, roots) in [
        (format!("db.cluster-c9.{west}"), Roots::Rds("eu-west-1")),
        (format!("db.cluster-ro-c9.{west}"), Roots::Rds("eu-west-1")),
        (format!("db.cluster-custom-c9.{west}"), Roots::Rds("eu-west-1")),
        (format!("db.c9.{west}"), Roots::Rds("eu-west-1")),
        (format!("db.shardgrp-c9.{west}"), Roots::Rds("eu-west-1")),
        (format!("p.proxy-c9.{west}"), Roots::AmazonTrust),
        (format!("p-ro.endpoint.proxy-c9.{west}"), Roots::AmazonTrust),
        ("abc.dsql.us-east-1.on.aws".to_owned(), Roots::AmazonTrust),
        ("g.global-c9.global.rds.amazonaws.com".to_owned(), Roots::EveryRds),
        ("db.example.com".to_owned(), Roots::System),
        (format!("db.c9.{west}.evil.example"), Roots::System),
        ("127.0.0.1".to_owned(), Roots::System),
    ] {
        assert_eq!(Roots::of(&host), Ok(roots), "{host}");
    }
}

#[test]
fn a_region_gets_its_own_roots_and_no_others() {
    let of = |roots: Roots| -> BTreeSet<String> {
        let all = roots.pem().flat_map(certificates);
        all.map(|certificate| common_name(&parsed(&certificate))).collect()
    };
    let every = of(Roots::EveryRds);
    assert_eq!(every.len(), RDS.len() * 3);
    for (region, _) in RDS {
        let mark = format!("Amazon RDS {region} Root CA ");
        let expected = every.iter().filter(|name| name.starts_with(&mark)).cloned().collect();
        assert_eq!(of(Roots::Rds(region)), expected);
    }
    assert!(of(Roots::AmazonTrust).is_disjoint(&every) && of(Roots::AmazonTrust).len() == 5);
    assert!(of(Roots::System).is_empty());
}

#[test]
fn a_region_without_roots_is_named_with_the_place_of_its_bundle() {
    let of = |host: &str| Roots::of(host).expect_err(host).to_string();
    let said = of("db.cluster-c9.il-central-1.rds.amazonaws.com");
    assert!(said.contains("the region il-central-1;") && said.contains("database.ca_file"));
    let place = "(https://truststore.pki.rds.amazonaws.com/il-central-1/il-central-1-bundle.pem)";
    assert!(said.contains(place), "{said}");
    for (host, place) in [
        (
            "db.c9.us-gov-east-1.rds.amazonaws.com",
            "(https://truststore.pki.us-gov-west-1.rds.amazonaws.com/us-gov-east-1/",
        ),
        (
            "db.c9.rds.cn-north-1.amazonaws.com.cn",
            "(https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/cn-north-1/",
        ),
        ("db.c9.us-iso-east-1.rds.c2s.ic.gov", "(where that partition publishes it)"),
        ("db.c9.eusc-de-east-1.rds.amazonaws.eu", "(where that partition publishes it)"),
    ] {
        assert!(of(host).contains(place), "{}", of(host));
    }
}
