use pgwire::messages as wire_message;
use pgwire::messages::{DecodeContext, Message as _, ProtocolVersion as WireVersion};
use pgwire::messages::{response, startup as wire};
use proptest::prelude::*;

use super::{backend::*, frontend::*, *};
use crate::{CancelKey, ErrorReport, Severity, SqlState};

fn take(bytes: &[u8]) -> Raw {
    let mut buffer = BytesMut::from(bytes);
    let raw = Raw::take(&mut buffer, 1 << 20).unwrap().unwrap();
    assert!(buffer.is_empty());
    raw
}

fn decode(bytes: &[u8]) -> Result<BackendMessage, MessageError> {
    BackendMessage::decode(&take(bytes))
}

/// The same bytes in the eyes of somebody else's decoder.
fn by_pgwire<M: wire_message::Message>(bytes: &[u8]) -> M {
    let context = DecodeContext::new(WireVersion::PROTOCOL3_2);
    M::decode(&mut BytesMut::from(bytes), &context).unwrap().unwrap()
}

#[test]
fn a_message_is_taken_once_it_is_whole() {
    let mut buffer = BytesMut::from(&b"Z\0\0\0\x05"[..]);
    assert_eq!(Raw::take(&mut buffer, 10), Ok(None));
    buffer.put_slice(b"IZ");
    let raw = Raw::take(&mut buffer, 10).unwrap().unwrap();
    assert_eq!((raw.tag, &raw.body[..], &buffer[..]), (b'Z', &b"I"[..], &b"Z"[..]));
    assert_eq!(&raw.encode()[..], b"Z\0\0\0\x05I");
}

#[test]
fn a_length_too_small_or_too_large_is_refused_before_the_body_arrives() {
    for length in [0_u32, 3, 4 + 11, u32::MAX] {
        let mut buffer = BytesMut::from(&b"R"[..]);
        buffer.put_u32(length);
        assert_eq!(Raw::take(&mut buffer, 10), Err(MessageError::Length { tag: b'R', length }));
    }
}

#[test]
fn a_body_is_not_shown() {
    assert_eq!(format!("{:?}", take(b"p\0\0\0\x08abc\0")), "Raw { tag: 'p', body: 4 bytes }");
}

#[test]
fn authentication_requests_are_told_apart() {
    use Authentication as A;
    for (bytes, expected) in [
        (&b"R\0\0\0\x08\0\0\0\0"[..], A::Ok),
        (b"R\0\0\0\x08\0\0\0\x03", A::CleartextPassword),
        (b"R\0\0\0\x0c\0\0\0\x05salt", A::Md5Password { salt: *b"salt" }),
        (b"R\0\0\0\x08\0\0\0\x07", A::Unsupported { code: 7 }),
        (b"R\0\0\0\x0a\0\0\0\x08xy", A::Unsupported { code: 8 }),
        (b"R\0\0\0\x0a\0\0\0\x0bxy", A::SaslContinue("xy".into())),
        (b"R\0\0\0\x0a\0\0\0\x0cxy", A::SaslFinal("xy".into())),
        (b"R\0\0\0\x0e\0\0\0\x0aA\0BC\0\0", A::Sasl { mechanisms: vec!["A".into(), "BC".into()] }),
    ] {
        assert_eq!(decode(bytes), Ok(BackendMessage::Authentication(expected)), "{bytes:?}");
    }
}

#[test]
fn malformed_backend_messages_are_errors() {
    for bytes in [
        &b"R\0\0\0\x04"[..],
        b"R\0\0\0\x0b\0\0\0\x05sal",
        b"R\0\0\0\x09\0\0\0\0x",
        b"R\0\0\0\x09\0\0\0\x0aA",
        b"R\0\0\0\x0a\0\0\0\x0aA\0",
        b"K\0\0\0\x08abcd",
        b"K\0\0\0\x0bpid0key",
        b"S\0\0\0\x06a\0",
        b"Z\0\0\0\x05x",
        b"Z\0\0\0\x04",
    ] {
        let [tag, ..] = bytes else { panic!() };
        assert_eq!(decode(bytes), Err(MessageError::Malformed { tag: *tag }), "{bytes:?}");
    }
}

#[test]
fn keys_of_every_length_are_read_and_written() {
    for length in [4, 32, 256] {
        let key = CancelKey::new(u32::MAX, &vec![7; length]).unwrap();
        let encoded = backend_key_data(&key).unwrap();
        assert_eq!(decode(&encoded), Ok(BackendMessage::BackendKeyData(key)));
        let theirs: wire::BackendKeyData = by_pgwire(&encoded);
        assert_eq!((theirs.pid, theirs.secret_key.to_bytes().len()), (-1, length));
    }
}

#[test]
fn what_is_encoded_for_the_application_is_what_pgwire_reads() {
    assert_eq!(by_pgwire::<wire::Authentication>(&AUTHENTICATION_OK), wire::Authentication::Ok);
    let sasl = authentication_sasl(&["SCRAM-SHA-256"]).unwrap();
    assert_eq!(
        decode(&sasl),
        Ok(BackendMessage::Authentication(Authentication::Sasl {
            mechanisms: vec!["SCRAM-SHA-256".into()]
        }))
    );
    assert_eq!(
        by_pgwire::<wire::Authentication>(&authentication_sasl_continue(b"x").unwrap()),
        wire::Authentication::SASLContinue("x".into())
    );
    assert_eq!(
        by_pgwire::<wire::Authentication>(&authentication_sasl_final(b"y").unwrap()),
        wire::Authentication::SASLFinal("y".into())
    );
    let ready: response::ReadyForQuery = by_pgwire(&ready_for_query(TransactionStatus::Failed));
    assert_eq!(ready.status, response::TransactionStatus::Error);
    let status: wire::ParameterStatus = by_pgwire(&parameter_status("a", "b").unwrap());
    assert_eq!((&status.name[..], &status.value[..]), ("a", "b"));
    assert!(parameter_status("a\0", "b").is_err());
}

#[test]
fn an_error_report_is_what_pgwire_and_our_decoder_read() {
    let report = ErrorReport::fatal(SqlState::ADMIN_SHUTDOWN, "bye").with_detail("d");
    let encoded = report.encode();
    let theirs: response::ErrorResponse = by_pgwire(&encoded);
    assert_eq!(theirs.fields.len(), 5);
    let Ok(BackendMessage::Error(fields)) = decode(&encoded) else { panic!() };
    assert_eq!(fields.severity(), Some(Severity::Fatal));
    assert_eq!(fields.sql_state(), Some(SqlState::ADMIN_SHUTDOWN));
    assert_eq!((fields.message(), fields.field(b'D')), ("bye".to_owned(), Some(&b"d"[..])));
    assert_eq!(fields.field(b'H'), None);
}

#[test]
fn an_error_that_is_cut_short_still_tells_what_it_can() {
    let fields = ErrorFields::new(Bytes::from_static(b"SFEHLER\0VERROR\0C42P01\0Mrelat"));
    assert_eq!(fields.severity(), Some(Severity::Error));
    assert_eq!(fields.sql_state(), SqlState::parse(b"42P01"));
    assert_eq!(fields.message(), "");
    assert_eq!(ErrorFields::new(Bytes::new()).severity(), None);
}

#[test]
fn constants_are_what_pgwire_writes() {
    let mut out = BytesMut::new();
    wire::SslRequest::new().encode(&mut out).unwrap();
    assert_eq!(out[..], SSL_REQUEST);
    out.clear();
    wire_message::terminate::Terminate::new().encode(&mut out).unwrap();
    assert_eq!(out[..], TERMINATE);
}

#[test]
fn a_password_is_written_and_read() {
    let message = password_message(b"p\xffw").unwrap();
    assert_eq!(&message[..], b"p\0\0\0\x08p\xffw\0");
    assert_eq!(&decode_password(&take(&message)).unwrap()[..], b"p\xffw");
    assert_eq!(password_message(b"a\0b"), Err(ContainsNul));
    for bad in [&b"p\0\0\0\x07abc"[..], b"p\0\0\0\x07a\0b", b"p\0\0\0\x04"] {
        let malformed = MessageError::Malformed { tag: b'p' };
        assert_eq!(decode_password(&take(bad)), Err(malformed), "{bad:?}");
    }
    let unexpected = MessageError::Unexpected { tag: b'Q' };
    assert_eq!(decode_password(&take(b"Q\0\0\0\x06a\0")), Err(unexpected));
}

#[test]
fn sasl_responses_are_written_and_read() {
    let raw = take(&sasl_initial_response("SCRAM-SHA-256", b"n,,n=,r=x").unwrap());
    assert_eq!(
        SaslInitialResponse::decode(&raw).unwrap(),
        SaslInitialResponse { mechanism: "SCRAM-SHA-256".into(), data: Some("n,,n=,r=x".into()) }
    );
    let raw = take(b"p\0\0\0\x0aX\0\xff\xff\xff\xff");
    assert_eq!(
        SaslInitialResponse::decode(&raw).unwrap(),
        SaslInitialResponse { mechanism: "X".into(), data: None }
    );
    let raw = take(&sasl_response(b"c=biws").unwrap());
    assert_eq!(&decode_sasl_response(&raw).unwrap()[..], b"c=biws");
}

#[test]
fn sasl_lengths_have_to_add_up() {
    for bad in [
        &b"p\0\0\0\x06X\0"[..],
        b"p\0\0\0\x0aX\0\0\0\0\x01",
        b"p\0\0\0\x0bX\0\0\0\0\0y",
        b"p\0\0\0\x0bX\0\xff\xff\xff\xffy",
        b"p\0\0\0\x09X\0\0\0\0",
        b"p\0\0\0\x05X",
    ] {
        let malformed = Err(MessageError::Malformed { tag: b'p' });
        assert_eq!(SaslInitialResponse::decode(&take(bad)), malformed, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_panic(
        tag in proptest::sample::select(&b"RSKZENpQx"[..]),
        body in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let raw = Raw { tag, body: body.into() };
        let results = (
            BackendMessage::decode(&raw).is_ok(),
            decode_password(&raw).is_ok(),
            SaslInitialResponse::decode(&raw).is_ok(),
            decode_sasl_response(&raw).is_ok(),
        );
        prop_assert_eq!(results.3, tag == b'p');
    }
}
