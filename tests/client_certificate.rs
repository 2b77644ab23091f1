//! Login with a certificate: shown in TLS, read anew for each session.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use pgferry_simulators::{Postgres, SERVER_NAME};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use support::client::Wire;
use support::pgferry::{Pgferry, binary, write_config};
use tempfile::TempDir;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a user, and its key.
    fn certify(&self, user: &str) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A server that lets `app_trust` in by certificate alone.
struct Stage {
    postgres: Postgres,
    authority: Authority,
    directory: TempDir,
}

impl Stage {
    fn new() -> Self {
        let authority = Authority::new("people");
        // The server may run as another user.
        let directory =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
        let file = directory.path().join("people.pem");
        fs::write(&file, &authority.pem).unwrap();
        let postgres = Postgres::builder()
            .setting("ssl_ca_file", file.to_str().unwrap())
            .hba("hostssl all app_trust all cert")
            .start();
        Self { postgres, authority, directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn show(&self, (certificate, key): &(String, String)) {
        fs::write(self.file("cert.pem"), certificate).unwrap();
        fs::write(self.file("key.pem"), key).unwrap();
        fs::set_permissions(self.file("key.pem"), Permissions::from_mode(0o600)).unwrap();
    }

    fn config(&self) -> String {
        let Self { postgres, .. } = self;
        let (address, port) = (postgres.address().expect("a TCP listener"), postgres.port());
        let (ca, cert, key) = (postgres.ca_file(), self.file("cert.pem"), self.file("key.pem"));
        format!(
            "[targets.db]\nlisten = \"127.0.0.1:0\"\n\
             database = {{ host = \"{SERVER_NAME}\", address = \"{address}:{port}\", ca_file = {ca:?} }}\n\
             credential = {{ kind = \"client-cert\", user = \"app_trust\", cert_file = {cert:?}, \
             key_file = {key:?} }}\n"
        )
    }
}

#[test]
fn a_certificate_opens_sessions_and_counts_as_soon_as_it_is_replaced() {
    let stage = Stage::new();
    let right = stage.authority.certify("app_trust");
    stage.show(&right);
    let pgferry = Pgferry::start(&stage.config());
    let port = pgferry.port("db");
    let user = || Wire::open(port).and_then(|mut wire| wire.query("select current_user"));
    assert_eq!(user(), Ok(vec!["app_trust".to_owned()]), "{}", pgferry.log().text());

    stage.show(&stage.authority.certify("somebody else"));
    let words = ["server login: certificate authentication failed"];
    Wire::refused(port).assert("db", "28000", &words, "common name");

    stage.show(&Authority::new("strangers").certify("app_trust"));
    let words = ["refused our certificate", "UnknownCA"];
    Wire::refused(port).assert("db", "28000", &words, "ssl_ca_file");

    stage.show(&(right.0.clone(), stage.authority.certify("app_trust").1));
    let words = ["credentials: key_file", "is not the key of"];
    Wire::refused(port).assert("db", "28000", &words, "read anew");

    stage.show(&right);
    assert_eq!(user(), Ok(vec!["app_trust".to_owned()]));
}

#[test]
fn a_certificate_that_cannot_be_shown_is_found_at_the_start() {
    let stage = Stage::new();
    let (certificate, _) = stage.authority.certify("app_trust");
    stage.show(&(certificate, stage.authority.certify("app_trust").1));
    let directory = tempfile::tempdir().unwrap();
    let file = write_config(directory.path(), &stage.config());
    let output = binary().args(["run", "--config"]).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("key_file") && said.contains("is not the key of"), "{said}");
}
