use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use proptest::prelude::*;

use super::*;

const RFC_SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const RFC_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const RFC_CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const RFC_CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

/// The exchange of RFC 7677, section 3.
fn rfc() -> (Exchange, ServerNonce) {
    let salt = STANDARD.decode(RFC_SALT).unwrap().try_into().unwrap();
    let verifier = Verifier::derive(b"pencil", salt, Verifier::ITERATIONS);
    (Exchange::new(Arc::new(verifier), None), ServerNonce(RFC_NONCE.to_owned()))
}

fn first(message: &str) -> Result<(Challenged, String), ScramError> {
    let (exchange, nonce) = rfc();
    exchange.client_first(MECHANISM.as_bytes(), message.as_bytes(), &nonce)
}

fn last(message: &str) -> Result<String, ScramError> {
    first(RFC_CLIENT_FIRST).unwrap().0.client_final(message.as_bytes())
}

fn cheap(password: &[u8], end_point: Option<EndPoint>) -> Exchange {
    let iterations = std::num::NonZeroU32::new(2).unwrap();
    Exchange::new(Arc::new(Verifier::derive(password, [7; 16], iterations)), end_point)
}

#[test]
fn the_exchange_of_rfc_7677_succeeds_word_for_word() {
    let (challenged, server_first) = first(RFC_CLIENT_FIRST).unwrap();
    assert_eq!(server_first, format!("r=rOprNGfwEbeRWgbNEkqO{RFC_NONCE},s={RFC_SALT},i=4096"));
    assert_eq!(
        challenged.client_final(RFC_CLIENT_FINAL.as_bytes()).unwrap(),
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    );
}

/// One exchange with somebody else's client.
fn with_rust_postgres(
    known: &[u8],
    typed: &[u8],
    binding: ChannelBinding,
) -> Result<(), ScramError> {
    exchange(cheap(known, None), MECHANISM, ScramSha256::new(typed, binding))
}

fn exchange(server: Exchange, mechanism: &str, mut client: ScramSha256) -> Result<(), ScramError> {
    let nonce = ServerNonce::from_random(&[3; NONCE_RANDOM]);
    let (challenged, server_first) =
        server.client_first(mechanism.as_bytes(), client.message(), &nonce)?;
    client.update(server_first.as_bytes()).unwrap();
    let server_final = challenged.client_final(client.message())?;
    client.finish(server_final.as_bytes()).unwrap();
    Ok(())
}

#[test]
fn rust_postgres_logs_in_with_the_right_password_alone() {
    for password in
        [&b"secret"[..], b"", b"with space", b"\xff\xfe", "I\u{ad}X \u{2168}".as_bytes()]
    {
        assert_eq!(with_rust_postgres(password, password, ChannelBinding::unsupported()), Ok(()));
        assert_eq!(with_rust_postgres(password, password, ChannelBinding::unrequested()), Ok(()));
    }
    assert_eq!(
        with_rust_postgres(b"secret", b"Secret", ChannelBinding::unsupported()),
        Err(ScramError::WrongPassword)
    );
}

#[test]
fn equal_passwords_in_different_unicode_are_the_same() {
    // RFC 4013, section 3: a soft hyphen maps to nothing, a Roman numeral to its letters.
    for (known, typed) in [("IX", "I\u{ad}X"), ("\u{2168}", "IX")] {
        let (known, typed) = (known.as_bytes(), typed.as_bytes());
        assert_eq!(with_rust_postgres(known, typed, ChannelBinding::unsupported()), Ok(()));
    }
}

#[test]
fn channel_binding_is_refused_since_it_was_not_offered() {
    let binding = ChannelBinding::tls_server_end_point(vec![1; 32]);
    assert_eq!(with_rust_postgres(b"x", b"x", binding), Err(ScramError::ChannelBinding));
    let plus = cheap(b"x", None).client_first(MECHANISM_PLUS.as_bytes(), b"", &rfc().1);
    assert_eq!(plus.unwrap_err(), ScramError::Mechanism);
}

/// An exchange inside TLS, with a certificate whose hash is all ones.
fn inside_tls(mechanism: &str, binding: ChannelBinding) -> Result<(), ScramError> {
    let server = cheap(b"x", Some(EndPoint(vec![1; 32])));
    exchange(server, mechanism, ScramSha256::new(b"x", binding))
}

#[test]
fn inside_tls_a_proof_is_bound_to_the_certificate() {
    let binding = |byte| ChannelBinding::tls_server_end_point(vec![byte; 32]);
    assert_eq!(inside_tls(MECHANISM_PLUS, binding(1)), Ok(()));
    assert_eq!(inside_tls(MECHANISM_PLUS, binding(2)), Err(ScramError::WrongChannel));
    assert_eq!(inside_tls(MECHANISM, ChannelBinding::unsupported()), Ok(()));
}

#[test]
fn inside_tls_a_client_that_did_not_see_the_offer_of_binding_is_refused() {
    let unaware = || ChannelBinding::unrequested();
    assert_eq!(inside_tls(MECHANISM, unaware()), Err(ScramError::Downgrade));
    assert_eq!(inside_tls(MECHANISM_PLUS, unaware()), Err(ScramError::NoChannelBinding));
    let unable = ChannelBinding::unsupported();
    assert_eq!(inside_tls(MECHANISM_PLUS, unable), Err(ScramError::NoChannelBinding));
    let bound = ChannelBinding::tls_server_end_point(vec![1; 32]);
    assert_eq!(inside_tls(MECHANISM, bound), Err(ScramError::ChannelBinding));
    let server = cheap(b"x", Some(EndPoint(vec![1; 32])));
    let unique = server.client_first(MECHANISM_PLUS.as_bytes(), b"p=tls-unique,,n=,r=x", &rfc().1);
    assert_eq!(unique.unwrap_err(), ScramError::ChannelBindingType);
}

#[test]
fn a_first_message_that_wants_too_much_is_refused() {
    for (message, error) in [
        ("p=tls-unique,,n=,r=x", ScramError::ChannelBinding),
        ("n,a=admin,n=,r=x", ScramError::AuthorizationIdentity),
        ("n,,m=ext,n=,r=x", ScramError::Extension),
        ("x,,n=,r=x", ScramError::Malformed("gs2 header")),
        ("n,", ScramError::Malformed("gs2 header")),
        ("", ScramError::Malformed("gs2 header")),
        ("n,,r=x", ScramError::Malformed("user name")),
        ("n,,n=user", ScramError::Malformed("nonce")),
        ("n,,n=user,r=", ScramError::Malformed("nonce")),
        ("n,,n=user,r=a b", ScramError::Malformed("nonce")),
        ("n,,n=us\0er,r=ab", ScramError::Malformed("characters")),
    ] {
        assert_eq!(first(message).unwrap_err(), error, "{message}");
    }
    let long = format!("n,,n=user,r={}", "x".repeat(MESSAGE_MAX));
    assert_eq!(first(&long).unwrap_err(), ScramError::TooLong);
}

#[test]
fn a_last_message_has_to_belong_to_the_first() {
    let replaced = |from: &str, to: &str| last(&RFC_CLIENT_FINAL.replace(from, to)).unwrap_err();
    assert_eq!(replaced("c=biws", "c=eSws"), ScramError::Mismatch);
    assert_eq!(replaced("r=rOpr", "r=xOpr"), ScramError::Mismatch);
    assert_eq!(replaced("k0,", "k,"), ScramError::Mismatch);
    assert_eq!(replaced("k0,", "k0,m=x,"), ScramError::Extension);
    assert_eq!(replaced("c=biws,", ""), ScramError::Malformed("channel binding"));
    assert_eq!(replaced("p=", "q="), ScramError::Malformed("proof"));
    assert_eq!(replaced("VQ=", "VQ"), ScramError::Malformed("proof"));
    assert_eq!(replaced("p=dHzb", "p="), ScramError::Malformed("proof"));
    assert_eq!(replaced("p=dHzb", "p=dHzc"), ScramError::WrongPassword);
}

#[test]
fn unknown_optional_extensions_are_signed_and_otherwise_ignored() {
    assert!(first("n,,n=user,r=abc,x=1").is_ok());
    // The proof covers what stands before it, so an extension put in later breaks it.
    let extended = RFC_CLIENT_FINAL.replace(",p=", ",x=1,p=");
    assert_eq!(last(&extended), Err(ScramError::WrongPassword));
}

#[test]
fn a_verifier_does_not_show_its_keys() {
    assert!(format!("{:?}", first(RFC_CLIENT_FIRST).unwrap().0).contains("[secret]"));
}

proptest! {
    #[test]
    fn arbitrary_messages_never_panic_and_never_pass(
        one in "[ny],(a=[a-z]{0,3})?,(m=|n=|r=|,|[ -~]){0,8}",
        two in proptest::collection::vec(any::<u8>(), 0..60),
        three in "c=[a-zA-Z]{0,4},r=[ -~]{0,40},p=[a-zA-Z0-9/+=]{0,44}",
    ) {
        let nonce = ServerNonce::from_random(&[1; NONCE_RANDOM]);
        let (plain, plus) = (MECHANISM.as_bytes(), MECHANISM_PLUS.as_bytes());
        let end_point = Some(EndPoint(vec![1; 32]));
        prop_assert!(cheap(b"pw", None).client_first(plain, &two, &nonce).is_err());
        prop_assert!(cheap(b"pw", end_point).client_first(plus, &two, &nonce).is_err());
        for message in [&two[..], three.as_bytes()] {
            if let Ok((challenged, _)) = cheap(b"pw", None).client_first(plain, one.as_bytes(), &nonce) {
                prop_assert!(challenged.client_final(message).is_err());
            }
        }
    }
}
