//! `jsonb` and `jsonpath`: their text with a version before it. `json` is a text.

use bytes::{BufMut as _, BytesMut};

use crate::{character, error::Fault, reader::Reader};

pub(crate) fn encode(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_u8(VERSION);
    character::encode(text, out)
}

pub(crate) fn decode(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    if reader.u8()? != VERSION {
        return Err(Fault::Binary("it has an unknown version"));
    }
    character::decode(reader, out)
}

/// Source: `jsonb_send` in `jsonb.c` and `jsonpath_send` in `jsonpath.c`.
const VERSION: u8 = 1;
