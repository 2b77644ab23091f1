//! Certificates and keys that cannot be used, or not for long.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use pgferry_simulators::{Authority, Certificate};

use crate::support::pgferry::{pgferry, write_config};

fn check(directory: &Path, cert: &str, key: &str) -> Output {
    fs::write(directory.join("cert.pem"), cert).unwrap();
    let key_file = directory.join("key.pem");
    fs::write(&key_file, key).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    check_as_they_are(directory, "127.0.0.1:0", LOCAL_TLS)
}

const LOCAL_TLS: &str =
    "local_tls = { kind = \"certificate\", cert_file = \"cert.pem\", key_file = \"key.pem\" }";

fn check_as_they_are(directory: &Path, listen: &str, local_tls: &str) -> Output {
    fs::write(directory.join("password"), "secret").unwrap();
    fs::set_permissions(directory.join("password"), fs::Permissions::from_mode(0o600)).unwrap();
    let authority = Authority::new("database").unwrap();
    fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    let config = format!(
        "[targets.db]\nlisten = \"{listen}\"\ndatabase = {{ host = \"db.example\", ca_file = \
         \"ca.pem\" }}\ncredential = {{ kind = \"password\", user = \"app\", password_file = \
         \"password\" }}\nlocal_auth = {{ kind = \"scram\", password_file = \"password\" \
         }}\n{local_tls}\n"
    );
    let file = write_config(directory, &config);
    pgferry(&["config", "check", "--config", file.to_str().unwrap()])
}

fn assert_refused(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(65), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

fn assert_warned(output: &Output, words: &[&str]) {
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

fn issued() -> Certificate {
    Authority::new("local").unwrap().issue(&["localhost"]).unwrap()
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (one, two) = (issued(), issued());
    let refused = |cert, key, words: &[&str]| assert_refused(&check(directory, cert, key), words);
    refused(one.pem(), two.key_pem(), &["key.pem is not the key of", "cert.pem"]);
    refused(one.key_pem(), one.key_pem(), &["cert.pem holds no certificate"]);
    refused(one.pem(), one.pem(), &["key.pem holds no private key", "openssl pkey"]);
    refused("", "", &["targets.db: local_tls: cert_file:", "holds no certificate"]);
    let broken = one.pem().replace("MII", "M!!");
    refused(&broken, one.key_pem(), &["cert.pem"]);
    let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    refused(rubbish, one.key_pem(), &["cert.pem"]);
    assert_warned(&check(directory, one.pem(), one.key_pem()), &[]);
}

#[test]
fn a_key_that_others_can_read_and_files_that_are_not_there_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let certificate = issued();
    check(directory, certificate.pem(), certificate.key_pem());
    let key_file = directory.join("key.pem");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let words = ["targets.db.local_tls.key_file", "mode 0644", "chmod 600"];
    assert_refused(&check_as_they_are(directory, "127.0.0.1:0", LOCAL_TLS), &words);
    fs::remove_file(key_file).unwrap();
    let words = ["targets.db.local_tls.key_file", "key.pem"];
    assert_refused(&check_as_they_are(directory, "127.0.0.1:0", LOCAL_TLS), &words);
    fs::remove_file(directory.join("cert.pem")).unwrap();
    let words = ["targets.db.local_tls.cert_file", "cert.pem"];
    assert_refused(&check_as_they_are(directory, "127.0.0.1:0", LOCAL_TLS), &words);
}

#[test]
fn an_expired_certificate_and_a_listener_in_the_clear_are_worth_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let expired = Authority::new("local").unwrap().issue_expired(&["localhost"]).unwrap();
    let words = ["warning: target \"db\": the certificate in", "ended on 2021-01-01"];
    assert_warned(&check(directory, expired.pem(), expired.key_pem()), &words);
    let words = ["warning: target \"db\": 0.0.0.0:0 can be reached", "set local_tls"];
    assert_warned(&check_as_they_are(directory, "0.0.0.0:0", ""), &words);
}

#[test]
fn the_url_of_a_listener_asks_for_tls_where_there_is_some() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let certificate = issued();
    check(directory, certificate.pem(), certificate.key_pem());
    for (local_tls, sslmode) in [(LOCAL_TLS, "sslmode=require"), ("", "sslmode=disable")] {
        check_as_they_are(directory, "127.0.0.1:15432", local_tls);
        let file = directory.join("pgferry.toml");
        let output = pgferry(&["url", "db", "--config", file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(sslmode), "{output:?}");
    }
}
