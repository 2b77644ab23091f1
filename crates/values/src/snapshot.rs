//! What the server counts: positions in its log and its tables, and snapshots of its transactions.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use crate::{error::Fault, reader::Reader, scan::Scan};

/// Source: `pg_lsn_out` in `pg_lsn.c`.
pub(crate) fn encode_lsn(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let (high, low) = text.split_once('/').ok_or(Fault::Text)?;
    for half in [high, low] {
        let hex =
            (1..=8).contains(&half.len()) && half.bytes().all(|byte| byte.is_ascii_hexdigit());
        let half = if hex { u32::from_str_radix(half, 16) } else { return Err(Fault::Text) };
        out.put_u32(half.map_err(|_| Fault::Text)?);
    }
    Ok(())
}

pub(crate) fn decode_lsn(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    _ = write!(out, "{:X}/{:X}", reader.u32()?, reader.u32()?);
    Ok(())
}

/// A block and a place in it. Source: `tidsend` in `tid.c`.
pub(crate) fn encode_tid(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let mut scan = Scan::new(text);
    scan.expect("(")?;
    let block = scan.number()?;
    scan.expect(",")?;
    let place = scan.number()?;
    scan.expect(")")?;
    scan.finish()?;
    out.put_u32(block);
    out.put_u16(place);
    Ok(())
}

pub(crate) fn decode_tid(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    _ = write!(out, "({},{})", reader.u32()?, reader.u16()?);
    Ok(())
}

/// How many transactions were in progress, the bounds, and each of them. Source: `pg_snapshot_send`
/// in `xid8funcs.c`.
pub(crate) fn encode(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let mut scan = Scan::new(text);
    let minimum: u64 = scan.number()?;
    scan.expect(":")?;
    let maximum: u64 = scan.number()?;
    scan.expect(":")?;
    let running: Result<Vec<u64>, Fault> = match scan.rest() {
        "" => Ok(Vec::new()),
        list => list.split(',').map(crate::scan::integer).collect(),
    };
    let running = running?;
    out.put_i32(i32::try_from(running.len()).map_err(|_| Fault::OutOfRange)?);
    for transaction in [minimum, maximum].into_iter().chain(running) {
        out.put_u64(transaction);
    }
    Ok(())
}

pub(crate) fn decode(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let count = reader.count()?;
    _ = write!(out, "{}:{}:", reader.u64()?, reader.u64()?);
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        _ = write!(out, "{}", reader.u64()?);
    }
    Ok(())
}
