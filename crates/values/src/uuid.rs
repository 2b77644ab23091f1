//! UUIDs.

use bytes::BytesMut;

use crate::{
    bytea::{push_digits, put_hex},
    error::Fault,
    reader::Reader,
};

pub(crate) fn encode(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let mut groups = text.split('-');
    for length in GROUPS {
        let group = groups.next().filter(|group| group.len() == 2 * length).ok_or(Fault::Text)?;
        put_hex(group.as_bytes(), out)?;
    }
    if groups.next().is_some() { Err(Fault::Text) } else { Ok(()) }
}

pub(crate) fn decode(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    for (index, length) in GROUPS.into_iter().enumerate() {
        if index > 0 {
            out.push('-');
        }
        push_digits(reader.bytes(length)?, out);
    }
    Ok(())
}

/// Units: bytes.
const GROUPS: [usize; 5] = [4, 2, 2, 2, 6];
