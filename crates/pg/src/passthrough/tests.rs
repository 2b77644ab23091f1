use bytes::BytesMut;

use super::*;
use crate::message::frontend::{sasl_initial_response, sasl_response};

fn raw(bytes: &[u8]) -> Raw {
    Raw::take(&mut BytesMut::from(bytes), ANSWER_MAX).unwrap().unwrap()
}

fn password(text: &str) -> Raw {
    raw(&password_message(text.as_bytes()).unwrap())
}

fn sasl_of(names: &[&'static str]) -> Authentication {
    let mechanisms = names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect();
    Authentication::Sasl { mechanisms }
}

fn request(frontend: Frontend, backend: Backend, of: Authentication) -> Result<Step, Refusal> {
    Machine::new(frontend, backend).on_backend(of).map(|(_, step)| step)
}

/// The machine after the database has asked, and been carried.
fn asked(frontend: Frontend, of: Authentication) -> Machine {
    let (machine, step) = Machine::new(frontend, Backend::Verified).on_backend(of).unwrap();
    assert!(matches!(step, Step::Ask(_)), "{step:?}");
    machine
}

fn carried(answer: &Answer) -> &[u8] {
    match answer {
        Answer::PassOn(bytes) => bytes,
        Answer::Password { .. } => panic!("it is not carried"),
    }
}

const BOTH: [&str; 2] = [MECHANISM_PLUS, MECHANISM];
const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const SCRAM_ALONE: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";

#[test]
fn scram_is_carried_message_by_message_without_its_binding() {
    let (machine, step) =
        Machine::new(Frontend::Local, Backend::Verified).on_backend(sasl_of(&BOTH)).unwrap();
    assert_eq!(step, Step::Ask(Bytes::from_static(SCRAM_ALONE)));
    let first = sasl_initial_response(MECHANISM, b"n,,n=,r=x").unwrap();
    let (machine, answer) = machine.on_frontend(&raw(&first)).unwrap();
    assert_eq!(carried(&answer), first);
    let (machine, step) = machine.on_backend(Authentication::SaslContinue("r=xy".into())).unwrap();
    assert_eq!(step, Step::Ask(authentication_sasl_continue(b"r=xy").unwrap()));
    let proof = sasl_response(b"c=biws,r=xy,p=z").unwrap();
    let (machine, answer) = machine.on_frontend(&raw(&proof)).unwrap();
    assert_eq!(carried(&answer), proof);
    let (machine, step) = machine.on_backend(Authentication::SaslFinal("v=w".into())).unwrap();
    assert_eq!(step, Step::Tell(authentication_sasl_final(b"v=w").unwrap()));
    assert_eq!(machine.on_backend(Authentication::Ok).unwrap().1, Step::Accepted);
}

#[test]
fn an_application_in_tls_is_asked_for_its_password_where_the_database_can_bind() {
    for names in [&BOTH[..], &BOTH[..1]] {
        let (machine, step) =
            Machine::new(Frontend::Tls, Backend::Verified).on_backend(sasl_of(names)).unwrap();
        assert_eq!(step, Step::Ask(Bytes::from_static(CLEARTEXT)));
        let (machine, answer) = machine.on_frontend(&password("s3cret")).unwrap();
        let Answer::Password { password, mechanisms } = answer else { panic!("{answer:?}") };
        assert_eq!((&password[..], mechanisms.len()), (&b"s3cret"[..], names.len()));
        assert_eq!(machine.on_backend(Authentication::Ok).unwrap().1, Step::Accepted);
    }
    // It says truly that it could bind, and sees truly that the database cannot.
    let step = request(Frontend::Tls, Backend::Unverified, sasl_of(&BOTH[1..])).unwrap();
    assert_eq!(step, Step::Ask(Bytes::from_static(SCRAM_ALONE)));
}

#[test]
fn nobody_is_asked_for_a_password_across_a_network() {
    for of in [Authentication::CleartextPassword, sasl_of(&BOTH[..1])] {
        assert_eq!(request(Frontend::Exposed, Backend::Verified, of), Err(Refusal::Exposed));
    }
    let step = request(Frontend::Exposed, Backend::Verified, sasl_of(&BOTH)).unwrap();
    assert_eq!(step, Step::Ask(Bytes::from_static(SCRAM_ALONE)));
}

#[test]
fn a_password_in_clear_text_goes_to_a_verified_database_alone() {
    let cleartext = || Authentication::CleartextPassword;
    let step = request(Frontend::Local, Backend::Verified, cleartext()).unwrap();
    assert_eq!(step, Step::Ask(Bytes::from_static(CLEARTEXT)));
    let refused = request(Frontend::Local, Backend::Unverified, cleartext());
    assert_eq!(refused, Err(Refusal::Cleartext));
    let sent = password("pässword");
    let (_, answer) = asked(Frontend::Local, cleartext()).on_frontend(&sent).unwrap();
    assert_eq!(carried(&answer), sent.encode());
}

#[test]
fn md5_is_carried_with_the_databases_own_salt() {
    let md5 = || Authentication::Md5Password { salt: *b"salt" };
    let step = request(Frontend::Exposed, Backend::Unverified, md5()).unwrap();
    assert_eq!(step, Step::Ask(Bytes::from_static(b"R\0\0\0\x0c\0\0\0\x05salt")));
    let sent = password("md5acbd18db4cc2f85cedef654fccc4a4d8");
    let (machine, answer) = asked(Frontend::Local, md5()).on_frontend(&sent).unwrap();
    assert_eq!(carried(&answer), sent.encode());
    assert_eq!(machine.on_backend(Authentication::Ok).unwrap().1, Step::Accepted);
}

#[test]
fn a_database_that_asks_for_nothing_is_believed() {
    let step = request(Frontend::Local, Backend::Unverified, Authentication::Ok);
    assert_eq!(step, Ok(Step::Accepted));
}

#[test]
fn other_methods_are_named() {
    for (of, name) in [
        (Authentication::Unsupported { code: 7 }, "GSSAPI"),
        (Authentication::Unsupported { code: 9 }, "SSPI"),
        (sasl_of(&["OAUTHBEARER"]), "OAUTHBEARER"),
    ] {
        let refused = request(Frontend::Local, Backend::Verified, of);
        assert_eq!(refused, Err(Refusal::Unsupported(name.to_owned())));
    }
}

#[test]
fn a_database_cannot_skip_its_own_proof() {
    let first = raw(&sasl_initial_response(MECHANISM, b"n,,n=,r=x").unwrap());
    let begun = || asked(Frontend::Local, sasl_of(&BOTH)).on_frontend(&first).unwrap().0;
    assert_eq!(begun().on_backend(Authentication::Ok).unwrap_err(), Refusal::Unfinished);
    let (proving, _) = begun().on_backend(Authentication::SaslContinue("r=xy".into())).unwrap();
    let proof = raw(&sasl_response(b"p=z").unwrap());
    let (proved, _) = proving.on_frontend(&proof).unwrap();
    assert_eq!(proved.on_backend(Authentication::Ok).unwrap_err(), Refusal::Unfinished);
}

#[test]
fn requests_out_of_turn_are_refused() {
    let unexpected = Refusal::Protocol(MessageError::Unexpected { tag: b'R' });
    for of in [Authentication::SaslContinue(Bytes::new()), Authentication::SaslFinal(Bytes::new())]
    {
        let refused = request(Frontend::Local, Backend::Verified, of);
        assert_eq!(refused, Err(unexpected.clone()));
    }
    // Not while the application still thinks, and not a second time.
    let machine = asked(Frontend::Local, Authentication::CleartextPassword);
    assert_eq!(machine.on_backend(Authentication::Ok).unwrap_err(), unexpected);
    let machine = asked(Frontend::Local, Authentication::CleartextPassword);
    let (machine, _) = machine.on_frontend(&password("x")).unwrap();
    let again = machine.on_backend(Authentication::CleartextPassword);
    assert_eq!(again.unwrap_err(), unexpected);
}

#[test]
fn answers_that_fit_no_request_are_refused() {
    let unasked = Machine::new(Frontend::Local, Backend::Verified);
    let refused = unasked.on_frontend(&password("x")).unwrap_err();
    assert_eq!(refused, MessageError::Unexpected { tag: b'p' });
    let asked_for_password = asked(Frontend::Local, Authentication::CleartextPassword);
    let refused = asked_for_password.on_frontend(&raw(b"Q\0\0\0\x06x\0")).unwrap_err();
    assert_eq!(refused, MessageError::Unexpected { tag: b'Q' });
    let plus = raw(&sasl_initial_response(MECHANISM_PLUS, b"p=tls-server-end-point,,").unwrap());
    let refused = asked(Frontend::Local, sasl_of(&BOTH)).on_frontend(&plus).unwrap_err();
    assert_eq!(refused, MessageError::Malformed { tag: b'p' });
    let two = raw(b"p\0\0\0\x08a\0b\0");
    let refused = asked(Frontend::Local, Authentication::CleartextPassword).on_frontend(&two);
    assert_eq!(refused.unwrap_err(), MessageError::Malformed { tag: b'p' });
}

#[test]
fn a_password_is_in_no_debug_output() {
    let machine = asked(Frontend::Tls, sasl_of(&BOTH));
    let (machine, answer) = machine.on_frontend(&password("hunter2")).unwrap();
    assert_eq!(format!("{answer:?}"), "Password");
    assert!(!format!("{machine:?}").contains("hunter2"));
}
