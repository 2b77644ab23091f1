//! Rows as one value: composite types, and `record`.

use std::borrow::Cow;

use bytes::{BufMut as _, BytesMut};

use crate::{
    builtin::builtin,
    error::{Fault, ValueError},
    kind::{Field, Kind, Type, may_be},
    reader::Reader,
    scan::Scan,
};

/// Takes apart a row that a server printed as one value, as `SELECT r::text FROM (…) r` does. What
/// is NULL is none.
///
/// A row of no columns and a row of one NULL are printed alike, as `()`: this gives one NULL.
///
/// # Errors
///
/// [`ValueError::Text`] for what no server prints.
///
/// Source: `record_out` in `rowtypes.c`.
pub fn fields(text: &str) -> Result<Vec<Option<Cow<'_, str>>>, ValueError> {
    read_fields(text).map_err(|fault| fault.of("record"))
}

/// The text of a row.
pub fn literal<'a>(fields: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut out = String::from("(");
    for (index, field) in fields.into_iter().enumerate() {
        push_field(index, field, &mut out);
    }
    out.push(')');
    out
}

/// The number of fields, and each with its type and its length. Source: `record_send` in
/// `rowtypes.c`.
pub(crate) fn encode(
    record: &Type,
    fields: &[Field],
    text: &str,
    out: &mut BytesMut,
) -> Result<(), ValueError> {
    let named = |fault: Fault| fault.of(&record.name);
    let mut texts = read_fields(text).map_err(named)?;
    if fields.is_empty() && text == "()" {
        texts.clear();
    }
    if texts.len() != fields.len() {
        return Err(named(Fault::Text));
    }
    out.put_i32(i32::try_from(fields.len()).map_err(|_| named(Fault::OutOfRange))?);
    for (field, text) in fields.iter().zip(texts) {
        out.put_u32(field.ty.oid);
        field.ty.encode_value(text.as_deref(), out)?;
    }
    Ok(())
}

pub(crate) fn decode(
    record: &Type,
    fields: &[Field],
    reader: &mut Reader<'_>,
    out: &mut String,
) -> Result<(), ValueError> {
    let named = |fault: Fault| fault.of(&record.name);
    if reader.count().map_err(named)? != fields.len() {
        return Err(named(Fault::Binary("it has another number of fields")));
    }
    out.push('(');
    for (index, field) in fields.iter().enumerate() {
        if !may_be(reader.u32().map_err(named)?, field.ty.oid) {
            return Err(named(Fault::Binary("a field is of another type")));
        }
        let value = reader.value().map_err(named)?;
        let value = value.map(|value| field.ty.part_text(value)).transpose()?;
        push_field(index, value.as_deref(), out);
        record.check_length(out)?;
    }
    out.push(')');
    Ok(())
}

/// The types of the fields are in the record, and must be built in.
pub(crate) fn decode_described(
    record: &Type,
    reader: &mut Reader<'_>,
    out: &mut String,
) -> Result<(), ValueError> {
    let named = |fault: Fault| fault.of(&record.name);
    let count = reader.count().map_err(named)?;
    out.push('(');
    for index in 0..count {
        let oid = reader.u32().map_err(named)?;
        let ty = builtin(oid).filter(|ty| !is_record(ty));
        let ty = ty.ok_or_else(|| named(Fault::Undescribed))?;
        let value = reader.value().map_err(named)?;
        let value = value.map(|value| ty.part_text(value)).transpose()?;
        push_field(index, value.as_deref(), out);
        record.check_length(out)?;
    }
    out.push(')');
    Ok(())
}

/// A record in a record could go on for ever.
fn is_record(ty: &Type) -> bool {
    match &ty.kind {
        Kind::Record => true,
        Kind::Array { element, .. } => is_record(element),
        _ => false,
    }
}

fn push_field(index: usize, field: Option<&str>, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
    if let Some(field) = field {
        push_quoted(field, b"(),", out);
    }
}

/// As it is, or between quotes if it is empty or holds something that ends it. Ranges quote alike.
pub(crate) fn push_quoted(text: &str, ends: &[u8], out: &mut String) {
    let special = |byte: u8| matches!(byte, b'"' | b'\\') || ends.contains(&byte) || is_space(byte);
    if !text.is_empty() && !text.bytes().any(special) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push(character);
        }
        out.push(character);
    }
    out.push('"');
}

fn read_fields(text: &str) -> Result<Vec<Option<Cow<'_, str>>>, Fault> {
    let mut scan = Scan::new(text);
    let mut fields = Vec::new();
    scan.expect("(")?;
    loop {
        fields.push(read_quotable(&mut scan, b"(),")?);
        if !scan.eats(",") {
            break;
        }
    }
    scan.expect(")")?;
    scan.finish()?;
    Ok(fields)
}

/// A part up to what ends it, without its quotes: none if there is nothing, not even quotes.
pub(crate) fn read_quotable<'a>(
    scan: &mut Scan<'a>,
    ends: &[u8],
) -> Result<Option<Cow<'a, str>>, Fault> {
    if scan.eats("\"") {
        return read_quoted(scan).map(Some);
    }
    let plain = scan.until(ends);
    if plain.contains(['"', '\\']) {
        return Err(Fault::Text);
    }
    Ok(Some(plain).filter(|plain| !plain.is_empty()).map(Cow::Borrowed))
}

/// What is between quotes, the first of which is read: quotes and backslashes in it are doubled.
fn read_quoted<'a>(scan: &mut Scan<'a>) -> Result<Cow<'a, str>, Fault> {
    let mut text = Cow::Borrowed(scan.until(b"\"\\"));
    loop {
        if scan.eats("\"\"") {
            text.to_mut().push('"');
        } else if scan.eats("\\\\") {
            text.to_mut().push('\\');
        } else {
            scan.expect("\"")?;
            return Ok(text);
        }
        text.to_mut().push_str(scan.until(b"\"\\"));
    }
}

/// `isspace` in the C locale. In others it may be more, which are then quoted and read all the same.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}
