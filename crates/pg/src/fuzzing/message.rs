//! Messages of a login: what is understood is what would be written.
//!
//! The input is a type byte, then the body.

use std::str;

use bytes::Bytes;

use super::take_byte;
use crate::message::{
    ErrorFields, Raw,
    backend::{self, AUTHENTICATION_OK, Authentication, BackendMessage},
    frontend::{self, SaslInitialResponse},
};

pub(super) fn check(data: &[u8]) {
    let mut body = data;
    let tag = take_byte(&mut body);
    let raw = Raw { tag, body: Bytes::copy_from_slice(body) };
    check_backend(&raw);
    check_frontend(&raw);
    check_fields(body);
}

fn check_backend(raw: &Raw) {
    let Ok(message) = BackendMessage::decode(raw) else { return };
    let written = match message {
        BackendMessage::Authentication(authentication) => write_authentication(authentication),
        BackendMessage::ParameterStatus { name, value } => {
            let text = str::from_utf8(&name).ok().zip(str::from_utf8(&value).ok());
            text.map(|(name, value)| backend::parameter_status(name, value).expect("no zero byte"))
        }
        BackendMessage::BackendKeyData(key) => {
            Some(backend::backend_key_data(&key).expect("a key that was read"))
        }
        BackendMessage::ReadyForQuery(status) => {
            Some(Bytes::copy_from_slice(&backend::ready_for_query(status)))
        }
        BackendMessage::Error(_) | BackendMessage::Notice(_) | BackendMessage::Other(_) => None,
    };
    if let Some(written) = written {
        assert_eq!(written, raw.encode());
    }
}

fn write_authentication(authentication: Authentication) -> Option<Bytes> {
    let written = match authentication {
        Authentication::Ok => return Some(Bytes::from_static(&AUTHENTICATION_OK)),
        Authentication::Sasl { mechanisms } => {
            let names: Result<Vec<&str>, _> =
                mechanisms.iter().map(|name| str::from_utf8(name)).collect();
            backend::authentication_sasl(&names.ok()?)
        }
        Authentication::SaslContinue(data) => backend::authentication_sasl_continue(&data),
        Authentication::SaslFinal(data) => backend::authentication_sasl_final(&data),
        _ => return None,
    };
    Some(written.expect("what was read is not too long to write"))
}

fn check_frontend(raw: &Raw) {
    if let Ok(password) = frontend::decode_password(raw) {
        let written = frontend::password_message(&password).expect("no zero byte inside");
        assert_eq!(&written[..], &raw.encode()[..]);
    }
    if let Ok(SaslInitialResponse { mechanism, data: Some(data) }) =
        SaslInitialResponse::decode(raw)
        && let Ok(mechanism) = str::from_utf8(&mechanism)
    {
        let written = frontend::sasl_initial_response(mechanism, &data).expect("short enough");
        assert_eq!(written, raw.encode());
    }
    if let Ok(data) = frontend::decode_sasl_response(raw) {
        assert_eq!(frontend::sasl_response(&data).expect("short enough"), raw.encode());
    }
}

/// A field is a text of the body that follows its code, and that a zero byte ends.
fn check_fields(body: &[u8]) {
    let fields = ErrorFields::new(body);
    for code in 0..=u8::MAX {
        if let Some(text) = fields.field(code) {
            assert!(code != 0 && !text.contains(&0));
            let whole = [&[code], text, &[0]].concat();
            assert!(body.windows(whole.len()).any(|window| window == whole));
        }
    }
    let read = (fields.severity().is_some(), fields.sql_state().is_some());
    assert!(!read.0 || fields.field(b'V').or_else(|| fields.field(b'S')).is_some());
    assert!(!read.1 || fields.field(b'C').is_some_and(|code| code.len() == 5));
    assert!(fields.message().len() <= 3 * body.len(), "replacements are bounded");
}
