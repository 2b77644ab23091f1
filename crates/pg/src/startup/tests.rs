use proptest::prelude::*;

use super::*;
use crate::SqlState;

fn packet(code: u32, content: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(content.len() + 8).unwrap().to_be_bytes().to_vec();
    out.extend(code.to_be_bytes());
    out.extend(content);
    out
}

fn startup(content: &[u8]) -> Result<StartupMessage, StartupError> {
    startup_version(ProtocolVersion::V3_0, content)
}

fn startup_version(
    version: ProtocolVersion,
    content: &[u8],
) -> Result<StartupMessage, StartupError> {
    match Machine::new(LocalTls::NotOffered).on_packet(&packet(version.code(), content), 0)? {
        (Machine::Done, Action::Finish(Outcome::Startup(message))) => Ok(message),
        other => panic!("not a startup: {other:?}"),
    }
}

/// Feeds codes without content and collects the answers.
fn answers(local_tls: LocalTls, codes: &[u32]) -> Result<Vec<u8>, StartupError> {
    let mut machine = Machine::new(local_tls);
    let mut answers = Vec::new();
    for code in codes {
        let (next, action) = machine.on_packet(&packet(*code, b""), 0)?;
        answers.extend(action.answer());
        machine = next;
    }
    Ok(answers)
}

const SSL: u32 = SSL_REQUEST_CODE;
const GSS: u32 = GSSENC_REQUEST_CODE;

#[test]
fn tls_and_gss_may_be_asked_for_in_any_order() {
    assert_eq!(answers(LocalTls::Offered, &[GSS, SSL]).unwrap(), b"NS");
    assert_eq!(answers(LocalTls::NotOffered, &[GSS, SSL]).unwrap(), b"NN");
    assert_eq!(answers(LocalTls::NotOffered, &[SSL, GSS]).unwrap(), b"NN");
}

#[test]
fn nothing_is_asked_for_twice() {
    for codes in [&[SSL, SSL][..], &[SSL, GSS, SSL], &[GSS, SSL, SSL]] {
        let error = answers(LocalTls::NotOffered, codes).unwrap_err();
        assert_eq!(error, StartupError::RepeatedRequest("SSLRequest"));
    }
    for codes in [&[GSS, GSS][..], &[SSL, GSS, GSS], &[GSS, SSL, GSS]] {
        let error = answers(LocalTls::NotOffered, codes).unwrap_err();
        assert_eq!(error, StartupError::RepeatedRequest("GSSENCRequest"));
    }
}

#[test]
fn inside_tls_no_encryption_is_asked_for() {
    for (code, name) in [(SSL, "SSLRequest"), (GSS, "GSSENCRequest")] {
        let error = answers(LocalTls::Offered, &[SSL, code]).unwrap_err();
        assert_eq!(error, StartupError::RequestInsideTls(name));
        let (machine, _) = Machine::new(LocalTls::Offered).on_direct_tls().unwrap();
        let error = machine.on_packet(&packet(code, b""), 0).unwrap_err();
        assert_eq!(error, StartupError::RequestInsideTls(name));
    }
}

#[test]
fn bytes_stuffed_behind_a_request_for_encryption_are_refused() {
    for code in [SSL, GSS] {
        for local_tls in [LocalTls::Offered, LocalTls::NotOffered] {
            let error = Machine::new(local_tls).on_packet(&packet(code, b""), 1).unwrap_err();
            assert!(matches!(error, StartupError::EarlyData(_)));
            assert!(error.report().detail.is_some());
        }
    }
    // Behind a startup packet they are only early.
    let plain = packet(ProtocolVersion::V3_0.code(), b"user\0u\0\0");
    assert!(Machine::new(LocalTls::Offered).on_packet(&plain, 9).is_ok());
}

#[test]
fn direct_tls_needs_a_fresh_connection_and_its_alpn() {
    let (machine, action) = Machine::new(LocalTls::Offered).on_direct_tls().unwrap();
    assert_eq!((machine, action), (Machine::TlsRunning, Action::StartDirectTls));
    assert_eq!(
        Machine::new(LocalTls::NotOffered).on_direct_tls(),
        Err(StartupError::DirectTlsNotOffered)
    );
    assert_eq!(Machine::TlsRefused.on_direct_tls(), Err(StartupError::InvalidLength));
    assert_eq!(check_direct_tls_alpn(Some(b"postgresql")), Ok(()));
    for wrong in [None, Some(&b"h2"[..])] {
        assert_eq!(check_direct_tls_alpn(wrong), Err(StartupError::DirectTlsWithoutAlpn));
    }
}

#[test]
fn a_cancel_request_is_an_outcome_whatever_the_length_of_its_key() {
    for length in [4, 32, 256] {
        let key = CancelKey::new(77, &vec![3; length]).unwrap();
        let (_, action) =
            Machine::new(LocalTls::Offered).on_packet(&key.encode_cancel_request(), 0).unwrap();
        assert_eq!(action, Action::Finish(Outcome::Cancel(key)));
    }
    for content in [&b""[..], b"\0\0\0\x01", b"\0\0\0\x01abc", &[0; 4 + 257]] {
        let packet = packet(CANCEL_REQUEST_CODE, content);
        let error = Machine::new(LocalTls::Offered).on_packet(&packet, 0).unwrap_err();
        assert_eq!(error, StartupError::InvalidCancelRequest);
    }
}

#[test]
fn the_length_is_known_after_four_bytes_and_bounded() {
    assert_eq!(packet_length(b"\0\0\0"), Ok(None));
    assert_eq!(packet_length(b"\0\0\0\x08"), Ok(Some(8)));
    assert_eq!(packet_length(&10_004_u32.to_be_bytes()), Ok(Some(10_004)));
    for bad in [0, 4, 7, 10_005, u32::MAX] {
        assert_eq!(packet_length(&bad.to_be_bytes()), Err(StartupError::InvalidLength));
    }
}

#[test]
fn a_packet_of_another_length_than_it_says_is_refused() {
    let mut long = packet(SSL, b"");
    long.push(0);
    let machine = Machine::new(LocalTls::Offered);
    assert_eq!(machine.on_packet(&long, 0), Err(StartupError::InvalidLength));
    assert_eq!(machine.on_packet(b"", 0), Err(StartupError::InvalidLength));
}

#[test]
fn other_protocols_are_refused_by_name() {
    for (major, minor) in [(2, 0), (1, 0), (4, 0), (1234, 5677)] {
        let error = startup_version(ProtocolVersion { major, minor }, b"user\0u\0\0").unwrap_err();
        assert_eq!(error.sql_state(), SqlState::FEATURE_NOT_SUPPORTED);
        assert_eq!(
            error.to_string(),
            format!("unsupported frontend protocol {major}.{minor}: pgferry supports 3.0 to 3.2")
        );
    }
}

#[test]
fn the_database_is_the_user_unless_it_is_named() {
    let message = startup(b"user\0alice\0\0").unwrap();
    assert_eq!((message.user(), message.database()), (&b"alice"[..], &b"alice"[..]));
    let message = startup(b"user\0alice\0database\0\0\0").unwrap();
    assert_eq!(message.database(), b"alice");
    let message = startup(b"user\0alice\0database\0shop\0\0").unwrap();
    assert_eq!(message.database(), b"shop");
}

#[test]
fn the_last_of_several_values_wins() {
    let message = startup(b"user\0a\0database\0x\0user\0b\0database\0y\0\0").unwrap();
    assert_eq!((message.user(), message.database()), (&b"b"[..], &b"y"[..]));
}

#[test]
fn a_startup_without_user_is_refused_as_postgresql_does() {
    for content in [&b"\0"[..], b"user\0\0\0", b"database\0x\0\0"] {
        let error = startup(content).unwrap_err();
        assert_eq!(error, StartupError::MissingUser);
        assert_eq!(error.sql_state(), SqlState::INVALID_AUTHORIZATION);
    }
}

#[test]
fn the_terminator_is_the_last_byte() {
    for content in [&b""[..], b"user\0a\0", b"user\0a", b"user\0a\0\0x", b"user\0a\0\0\0"] {
        assert_eq!(startup(content), Err(StartupError::InvalidLayout), "{content:?}");
    }
}

#[test]
fn names_need_not_be_utf_8() {
    assert_eq!(startup(b"user\0\xe9\xff\0\0").unwrap().user(), b"\xe9\xff");
}

#[test]
fn replication_is_spelt_as_postgresql_spells_booleans() {
    for (value, expected) in [
        ("database", Ok(Replication::Logical)),
        ("true", Ok(Replication::Physical)),
        ("t", Ok(Replication::Physical)),
        ("YES", Ok(Replication::Physical)),
        ("on", Ok(Replication::Physical)),
        ("1", Ok(Replication::Physical)),
        ("0", Ok(Replication::None)),
        ("of", Ok(Replication::None)),
        ("No", Ok(Replication::None)),
        ("fals", Ok(Replication::None)),
        ("o", Err(StartupError::InvalidReplication)),
        ("", Err(StartupError::InvalidReplication)),
        ("truee", Err(StartupError::InvalidReplication)),
        ("Database", Err(StartupError::InvalidReplication)),
    ] {
        let content = format!("user\0u\0replication\0{value}\0\0");
        let got = startup(content.as_bytes()).map(|message| message.replication());
        assert_eq!(got, expected, "{value:?}");
    }
}

#[test]
fn a_newer_minor_version_and_unknown_options_are_negotiated_down() {
    let newer = ProtocolVersion { major: 3, minor: 9999 };
    let message = startup_version(newer, b"_pq_.x\0on\0user\0u\0_pq_.why\0\0\0").unwrap();
    assert_eq!(message.effective_version(), ProtocolVersion::V3_2);
    let negotiate = message.negotiate().unwrap();
    assert_eq!(&negotiate.encode()[..], b"v\0\0\0\x1c\0\x03\0\x02\0\0\0\x02_pq_.x\0_pq_.why\0");
}

#[test]
fn what_is_spoken_here_needs_no_negotiation() {
    for minor in [0, 1, 2] {
        let version = ProtocolVersion { major: 3, minor };
        let message = startup_version(version, b"user\0u\0\0").unwrap();
        assert_eq!((message.negotiate(), message.effective_version()), (None, version));
    }
    let message = startup_version(ProtocolVersion::V3_0, b"user\0u\0_pq_.x\0on\0\0").unwrap();
    assert_eq!(message.negotiate().unwrap().version, ProtocolVersion::V3_0);
}

#[test]
fn the_backend_gets_another_user_and_everything_else_as_it_came() {
    let message = startup_version(
        ProtocolVersion::V3_2,
        b"options\0-c a=b\0user\0alice\0_pq_.x\0on\0application_name\0psql\0user\0bob\0\0",
    )
    .unwrap();
    let packet = message.for_backend(b"iam_user", None).unwrap();
    assert_eq!(packet_length(&packet), Ok(Some(packet.len())));
    assert_eq!(
        &packet[4..],
        b"\0\x03\0\0user\0iam_user\0database\0bob\0options\0-c a=b\0application_name\0psql\0\0"
    );
    let packet = message.for_backend(b"u", Some(b"d")).unwrap();
    assert!(packet[8..].starts_with(b"user\0u\0database\0d\0"));
}

#[test]
fn a_name_with_a_zero_byte_cannot_smuggle_in_parameters() {
    let message = startup(b"user\0u\0\0").unwrap();
    assert!(message.for_backend(b"u\0options\0-c x=y", None).is_err());
    assert!(message.for_backend(b"u", Some(b"d\0x")).is_err());
}

#[test]
fn nothing_follows_the_end() {
    for code in [SSL, GSS, CANCEL_REQUEST_CODE, ProtocolVersion::V3_0.code()] {
        let error = Machine::Done.on_packet(&packet(code, b"user\0u\0\0"), 0).unwrap_err();
        assert_eq!(error, StartupError::AfterTheEnd);
    }
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(1_u8.., 1..20)
}

proptest! {
    #[test]
    fn arbitrary_packets_never_panic(
        packets in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60)), 1..5),
        offered in any::<bool>(),
    ) {
        let mut machine =
            Machine::new(if offered { LocalTls::Offered } else { LocalTls::NotOffered });
        for (kind, content) in packets {
            let code = match kind % 6 {
                0 => SSL,
                1 => GSS,
                2 => CANCEL_REQUEST_CODE,
                3 => ProtocolVersion::V3_0.code(),
                _ => u32::from_be_bytes([kind; 4]),
            };
            let whole = if kind > 250 { content } else { packet(code, &content) };
            match machine.on_packet(&whole, 0) {
                Ok((next, _)) => machine = next,
                Err(error) => { error.report(); }
            }
        }
    }

    #[test]
    fn what_is_encoded_for_the_backend_parses_to_the_same_parameters(
        user in word(),
        others in proptest::collection::vec((word(), word()), 0..10),
    ) {
        let parameters = [(b"user".to_vec(), user.clone())].into_iter().chain(
            others.into_iter().filter(|(name, _)| {
                !name.starts_with(b"_pq_.") && name != b"user" && name != b"database" && name != b"replication"
            }),
        );
        let message = StartupMessage {
            version: ProtocolVersion::V3_0,
            parameters: parameters.map(|(n, v)| (n.into(), v.into())).collect(),
        };
        let packet = message.for_backend(&user, Some(b"db")).unwrap();
        let (_, action) = Machine::new(LocalTls::Offered).on_packet(&packet, 0).unwrap();
        let Action::Finish(Outcome::Startup(mut parsed)) = action else { panic!("{action:?}") };
        prop_assert_eq!(parsed.parameters.remove(1), ("database".into(), "db".into()));
        prop_assert_eq!(parsed, message);
    }
}
