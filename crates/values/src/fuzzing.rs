//! What must hold of values whatever comes in, as a function of arbitrary bytes.
//!
//! A fuzzer calls it with what it makes up (`fuzz/` at the top of the repository), and the tests of
//! this crate with a corpus and mutations of it.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a broken promise ends the run, and nobody but fuzzers and tests gets here"
)]

use std::sync::Arc;

use bytes::BytesMut;

use crate::{
    ValueError,
    builtin::builtin,
    kind::{Field, Kind, Type},
    table::TABLE,
};

/// The input is a line with a type and the form, `int4[] text` or `numeric binary`, then the value.
/// It panics when a promise is broken.
///
/// What one form was made of comes back from the other, once it is in the form a server would give it:
/// texts vary in spaces and signs, and binary forms in what no text tells.
pub fn value(data: &[u8]) {
    let line = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, value) = data.split_at_checked(line).expect("a place in it");
    let value = value.get(1..).unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let (name, form) = line.split_once(' ').unwrap_or((&line, "binary"));
    let ty = described(name);
    match form {
        "text" => check_text(&ty, &String::from_utf8_lossy(value)),
        _ => check_binary(&ty, value),
    }
}

fn check_text(ty: &Type, text: &str) {
    let Some(binary) = to_binary(ty, text) else { return };
    let printed = to_text(ty, &binary).expect("a text of what has been read");
    let again = to_binary(ty, &printed).expect("a binary form of what has been printed");
    assert_eq!(again, binary, "{text:?} came back as {printed:?}");
}

fn check_binary(ty: &Type, binary: &[u8]) {
    let Some(text) = to_text(ty, binary) else { return };
    let Some(again) = to_binary(ty, &text) else {
        assert!(is_record(ty), "{text:?} was printed and cannot be read");
        return;
    };
    let printed = to_text(ty, &again).expect("a text of what has been read");
    assert_eq!(printed, text, "{binary:?} came back as {again:?}");
}

fn to_binary(ty: &Type, text: &str) -> Option<Vec<u8>> {
    let mut out = BytesMut::from(KEPT);
    let done = ty.to_binary(text, &mut out);
    finished(done, out.strip_prefix(KEPT.as_bytes()).expect("what was there before"))
}

fn to_text(ty: &Type, binary: &[u8]) -> Option<String> {
    let mut out = String::from(KEPT);
    let done = ty.to_text(binary, &mut out);
    let text = finished(done, out.strip_prefix(KEPT).expect("what was there before").as_bytes());
    text.map(|text| String::from_utf8(text).expect("part of a text"))
}

fn finished(done: Result<(), ValueError>, appended: &[u8]) -> Option<Vec<u8>> {
    match done {
        Ok(()) => Some(appended.to_vec()),
        Err(error) => {
            assert!(appended.is_empty(), "{error} leaves something behind");
            None
        }
    }
}

/// A built-in type, one of `own`, or any if the name is damaged.
fn described(name: &str) -> Type {
    let (element, array) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    let known = TABLE.iter().find(|(_, known, _)| *known == element);
    let fallback = name.bytes().map(usize::from).sum::<usize>();
    let ty = match (own(element), known) {
        (Some(ty), _) => ty,
        (None, Some((oid, ..))) => builtin(*oid).expect("a type of the table"),
        (None, None) => {
            let (oid, ..) = TABLE.get(fallback % TABLE.len()).expect("an index in the table");
            builtin(*oid).expect("a type of the table")
        }
    };
    if array { Type::array(OWN, "array", ty) } else { ty }
}

fn own(name: &str) -> Option<Type> {
    let known = |oid| builtin(oid).expect("a built-in type");
    let kind = match name {
        "mood" => Kind::Enum,
        "even" => Kind::Domain(Arc::new(known(23))),
        "label" => Kind::Range(Arc::new(known(25))),
        "labels" => Kind::Multirange(Arc::new(own("label")?)),
        "pair" => {
            let types = [known(25), own("even")?, known(1009), own("label")?];
            let field = |ty| Field { name: String::new(), ty };
            Kind::Composite(types.map(field).into())
        }
        _ => return None,
    };
    Some(Type { oid: OWN, name: name.to_owned().into(), kind })
}

fn is_record(ty: &Type) -> bool {
    match &ty.kind {
        Kind::Record => true,
        Kind::Array { element, .. } => is_record(element),
        _ => false,
    }
}

const KEPT: &str = "kept";
const OWN: u32 = 100_000;

#[cfg(test)]
mod tests;
