//! `bit` and `varbit`.

use bytes::{BufMut as _, BytesMut};

use crate::{error::Fault, reader::Reader};

/// The number of bits, then the bits, the first of them highest. Source: `varbit_send` in `varbit.c`.
pub(crate) fn encode(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_i32(i32::try_from(text.len()).map_err(|_| Fault::OutOfRange)?);
    for digits in text.as_bytes().chunks(8) {
        let mut byte = 0;
        for (place, digit) in digits.iter().enumerate() {
            byte |= match digit {
                b'0' => 0,
                b'1' => 0x80_u8 >> place,
                _ => return Err(Fault::Text),
            };
        }
        out.put_u8(byte);
    }
    Ok(())
}

pub(crate) fn decode(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let mut left = reader.count()?;
    let bytes = reader.bytes(left.div_ceil(8))?;
    for byte in bytes {
        for place in 0..left.min(8) {
            out.push(if byte & (0x80_u8 >> place) == 0 { '0' } else { '1' });
        }
        left = left.saturating_sub(8);
    }
    Ok(())
}
