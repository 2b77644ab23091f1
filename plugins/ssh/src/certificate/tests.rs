//! The certificates were made by OpenSSH's ssh-keygen; all are for one key and valid in 2026.

use super::*;

fn certificate(text: &str) -> Certificate {
    Certificate::from_openssh(text).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn user(now: u64) -> Result<(), Flaw> {
    check_user(&certificate(USER), at(now))
}

fn host(text: &str, name: &str) -> Result<(), Flaw> {
    check_host(&certificate(text), name, at(BEGIN))
}

#[test]
fn the_first_second_is_within_and_the_last_is_not() {
    assert_eq!(user(BEGIN - 1), Err(Flaw::NotYetValid { from: BEGIN }));
    assert_eq!(user(BEGIN), Ok(()));
    assert_eq!(user(END - 1), Ok(()));
    assert_eq!(user(END), Err(Flaw::Expired { at: END }));
    let expired = Flaw::Expired { at: END }.to_string();
    assert_eq!(expired, "expired on Fri, 01 Jan 2027 00:00:00 GMT");
    assert!(Flaw::NotYetValid { from: u64::MAX }.to_string().ends_with("after the year 9999"));
}

#[test]
fn a_hosts_certificate_is_no_users_and_the_other_way_round() {
    let no_user = check_user(&certificate(HOST), at(BEGIN)).unwrap_err();
    assert_eq!(no_user.to_string(), "is a host's, not a user's");
    assert_eq!(host(USER, "jo").unwrap_err().to_string(), "is a user's, not a host's");
}

#[test]
fn a_host_is_named_in_full_or_by_a_pattern() {
    for name in ["bastion.example.com", "BASTION.example.com", "a.internal", "a.b.internal"] {
        assert_eq!(host(HOST, name), Ok(()), "{name}");
    }
    for name in ["example.com", "internal", "bastion.example.com.evil.org", ""] {
        assert!(matches!(host(HOST, name), Err(Flaw::OtherHosts { .. })), "{name}");
    }
}

#[test]
fn a_certificate_without_names_is_for_no_host() {
    let flaw = host(NOBODY, "bastion.example.com").unwrap_err();
    assert_eq!(flaw.to_string(), "names no host");
}

#[test]
fn an_unknown_critical_option_and_sha_1_are_refused() {
    let flaw = host(OPTION, "bastion.example.com").unwrap_err();
    assert!(flaw.to_string().contains("no-moon@example.com"), "{flaw}");
    assert_eq!(host(SHA1, "bastion.example.com"), Err(Flaw::Sha1));
}

#[test]
fn words_that_nobody_signed_are_refused() {
    let whole = certificate(HOST).to_bytes().unwrap();
    let name = b"bastion.example.com";
    let start = whole.windows(name.len()).position(|window| window == name).unwrap();
    let mut forged = whole.clone();
    forged[start..start + 7].copy_from_slice(b"palazzo");
    let forged = Certificate::from_bytes(&forged).unwrap();
    assert_eq!(check_host(&forged, "palazzo.example.com", at(BEGIN)), Err(Flaw::Signature));
}

/// 2026-01-01 and 2027-01-01.
const BEGIN: u64 = 1_767_225_600;
const END: u64 = 1_798_761_600;
const USER: &str = include_str!("../../tests/certificates/user.pub");
const HOST: &str = include_str!("../../tests/certificates/host.pub");
const NOBODY: &str = include_str!("../../tests/certificates/nobody.pub");
const SHA1: &str = include_str!("../../tests/certificates/sha1.pub");
const OPTION: &str = include_str!("../../tests/certificates/option.pub");
