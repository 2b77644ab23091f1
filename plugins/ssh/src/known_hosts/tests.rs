//! Every line of a file of known hosts here was written by OpenSSH 9.2.

use super::*;

const FIRST: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOAfrlI+uj3WRcIibRdIuXSVqGzKM0Ouupet5ubFnO4S";
const FIRST_FINGERPRINT: &str = "SHA256:mgGz2zZzMvzAoe8VLjvAi7iCsBRY2NPbofvKs4hbF7Q";
const SECOND: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHzGVMbuyB0VgC6hBjSpCMfD3+XaUlIAlvSR4RzYe8w6";
const SECOND_FINGERPRINT: &str = "SHA256:7/O47FnIkbvZD0gDiVvaKHZop3uUhOqVBYaaEdv0aMA";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJjop/FOQ9eopp7XfrtqsPqZkPASttN+Bi5M7M1p4+rIcWFZ1xGTuKNNoOkZPjN1vpkrmpdqO4BmMxaBiBE2gM8=";
/// `ssh-keygen -H` of `bastion.example.com`.
const HASHED: &str = "|1|d/Da0qwrVLFjq/5zpB4OgyaDtRA=|0bt6bbFGhUt6IWZmjGIJwKMlDE8=";
/// `ssh-keygen -H` of `[bastion.example.com]:2222`.
const HASHED_WITH_PORT: &str = "|1|CUOdoXngB48MKJKPo1AJeqLY1Zw=|0ibUCBXFgLcPgjwIQ8fg4dUOb/0=";

fn key(public: &str) -> Vec<u8> {
    STANDARD.decode(public.split(' ').nth(1).unwrap()).unwrap()
}

fn read(text: &str) -> Vec<Entry> {
    parse(std::path::Path::new("known"), text)
}

fn verdict(text: &str, host: &str, port: u16, shown: &str) -> Verdict {
    verify(&read(text), host, port, &key(shown))
}

fn place(line: usize) -> Place {
    Place { file: "known".into(), line }
}

#[test]
fn a_recorded_key_is_known_and_another_host_is_not() {
    let text = format!("bastion.example.com {FIRST} comment with spaces\n");
    assert_eq!(verdict(&text, "bastion.example.com", 22, FIRST), Verdict::Known);
    assert_eq!(verdict(&text, "BASTION.Example.com", 22, FIRST), Verdict::Known);
    assert_eq!(verdict(&text, "other.example.com", 22, FIRST), Verdict::Unknown);
    assert_eq!(verdict("", "bastion.example.com", 22, FIRST), Verdict::Unknown);
}

#[test]
fn a_changed_key_names_the_line_and_the_known_fingerprint() {
    let text = format!("# comment\n\nbastion {FIRST}\n");
    let changed = Verdict::Changed { place: place(3), known: FIRST_FINGERPRINT.to_owned() };
    assert_eq!(verdict(&text, "bastion", 22, SECOND), changed);
}

#[test]
fn any_of_several_recorded_keys_will_do() {
    let text = format!("bastion {FIRST}\nbastion {SECOND}\n");
    assert_eq!(verdict(&text, "bastion", 22, FIRST), Verdict::Known);
    assert_eq!(verdict(&text, "bastion", 22, SECOND), Verdict::Known);
}

#[test]
fn a_key_of_another_type_is_neither_changed_nor_unknown() {
    let text = format!("bastion {ECDSA}\n");
    assert_eq!(verdict(&text, "bastion", 22, FIRST), Verdict::OtherTypes { place: place(1) });
    assert_eq!(known_types(&read(&text), "bastion", 22), ["ecdsa-sha2-nistp256"]);
}

#[test]
fn a_hashed_name_is_recognised_with_and_without_port() {
    let text = format!("{HASHED} {FIRST}\n");
    assert_eq!(verdict(&text, "bastion.example.com", 22, FIRST), Verdict::Known);
    assert_eq!(verdict(&text, "bastion.example.org", 22, FIRST), Verdict::Unknown);
    let text = format!("{HASHED_WITH_PORT} {FIRST}\n");
    assert_eq!(verdict(&text, "bastion.example.com", 2222, FIRST), Verdict::Known);
    assert_eq!(verdict(&text, "bastion.example.com", 22, FIRST), Verdict::Unknown);
}

#[test]
fn a_port_is_part_of_the_name_unless_it_is_the_default() {
    let text = format!("[bastion]:2222 {FIRST}\n");
    assert_eq!(verdict(&text, "bastion", 2222, FIRST), Verdict::Known);
    assert_eq!(verdict(&text, "bastion", 2223, FIRST), Verdict::Unknown);
    assert_eq!(verdict(&text, "bastion", 22, FIRST), Verdict::Unknown);
}

#[test]
fn a_key_recorded_for_the_bare_name_serves_every_port_but_does_not_contradict_one() {
    let text = format!("bastion {FIRST}\n");
    assert_eq!(verdict(&text, "bastion", 2222, FIRST), Verdict::Known);
    assert_eq!(verdict(&text, "bastion", 2222, SECOND), Verdict::Unknown);
}

#[test]
fn patterns_have_wildcards_lists_and_negation() {
    let text = format!("*.example.com,!secret.example.com,10.0.0.? {FIRST}\n");
    assert_eq!(verdict(&text, "a.b.example.com", 22, FIRST), Verdict::Known);
    assert_eq!(verdict(&text, "secret.example.com", 22, FIRST), Verdict::Unknown);
    assert_eq!(verdict(&text, "10.0.0.7", 22, FIRST), Verdict::Known);
    assert_eq!(verdict(&text, "10.0.0.77", 22, FIRST), Verdict::Unknown);
}

#[test]
fn stars_match_any_number_of_bytes() {
    assert!(glob(b"*", b""));
    assert!(glob(b"a*b*c", b"axxbyybzc"));
    assert!(glob(b"a**", b"a"));
    assert!(!glob(b"a*b", b"axc"));
    assert!(!glob(b"", b"a"));
    assert!(glob(b"[a]:*", b"[a]:22"));
}

#[test]
fn a_revoked_key_is_refused_even_if_it_is_recorded_too() {
    let text = format!("bastion {FIRST}\n@revoked * {FIRST}\n");
    assert_eq!(verdict(&text, "bastion", 22, FIRST), Verdict::Revoked { place: place(2) });
    assert_eq!(verdict(&text, "bastion", 2222, FIRST), Verdict::Revoked { place: place(2) });
    let text = format!("@revoked * {SECOND}\nbastion {FIRST}\n");
    assert_eq!(verdict(&text, "bastion", 22, FIRST), Verdict::Known);
}

#[test]
fn a_certificate_authority_alone_does_not_make_a_key_known() {
    let text = format!("@cert-authority *.example.com {FIRST}\n");
    let authority = Verdict::AuthorityOnly { place: place(1) };
    assert_eq!(verdict(&text, "a.example.com", 22, FIRST), authority);
    let text = format!("{text}a.example.com {SECOND}\n");
    assert_eq!(verdict(&text, "a.example.com", 22, SECOND), Verdict::Known);
}

#[test]
fn lines_that_make_no_sense_are_left_out_and_still_counted() {
    let text = format!(
        "bastion\n@new-marker bastion {FIRST}\nbastion ssh-rsa {}\n|1|zz bastion\n\tbastion\t{FIRST}\r\n",
        FIRST.split(' ').nth(1).unwrap()
    );
    let entries = read(&text);
    assert_eq!(entries.iter().map(|entry| entry.place.line).collect::<Vec<_>>(), [5]);
}

#[test]
fn the_line_to_add_is_the_line_that_is_known() {
    let written = line("Bastion", 2222, &key(FIRST));
    assert_eq!(written, format!("[bastion]:2222 {FIRST}"));
    assert_eq!(verdict(&written, "bastion", 2222, FIRST), Verdict::Known);
    assert_eq!(line("bastion", 22, &key(FIRST)), format!("bastion {FIRST}"));
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    assert_eq!(fingerprint(&key(FIRST)), FIRST_FINGERPRINT);
    assert_eq!(fingerprint(&key(SECOND)), SECOND_FINGERPRINT);
}

#[test]
fn a_malformed_key_has_no_type() {
    assert_eq!(key_type(&[]), "");
    assert_eq!(key_type(&[0, 0, 0, 9, b'a']), "");
    assert_eq!(key_type(&[0xff, 0xff, 0xff, 0xff, b'a']), "");
}
