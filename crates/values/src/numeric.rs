//! `numeric`, with any number of digits, and `money`.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use crate::{error::Fault, reader::Reader};

/// Groups of four digits, the place of the first group, a sign, and the digits behind the point.
/// Source: `numeric_send` in `numeric.c`.
pub(crate) fn encode(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let special = match text {
        "NaN" => Some(NAN),
        "Infinity" => Some(POSITIVE_INFINITY),
        "-Infinity" => Some(NEGATIVE_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        // What a server sends of an infinity besides says nothing, and is said all the same.
        put(&[], 0, sign, if sign == NAN { 0 } else { SCALE_OF_INFINITY }, out);
        return Ok(());
    }
    let (sign, digits) = text.strip_prefix('-').map_or((POSITIVE, text), |rest| (NEGATIVE, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(Fault::Text);
    }
    let scale = u16::try_from(fraction.len()).ok().filter(|scale| *scale <= MAX_SCALE);
    let scale = scale.ok_or(Fault::OutOfRange)?;
    let (groups, weight) = groups(whole, fraction)?;
    // PostgreSQL knows no negative zero.
    let sign = if groups.is_empty() { POSITIVE } else { sign };
    put(&groups, weight, sign, scale, out);
    Ok(())
}

pub(crate) fn decode(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let count = reader.u16()?;
    let weight = i32::from(reader.i16()?);
    let sign = reader.u16()?;
    let scale = reader.u16()?;
    let mut groups = Vec::new();
    for _ in 0..count {
        groups.push(group(reader)?);
    }
    match sign {
        NAN => out.push_str("NaN"),
        POSITIVE_INFINITY => out.push_str("Infinity"),
        NEGATIVE_INFINITY => out.push_str("-Infinity"),
        POSITIVE | NEGATIVE if scale <= MAX_SCALE => {
            print(&groups, weight, sign == NEGATIVE, scale.into(), out);
        }
        POSITIVE | NEGATIVE => return Err(Fault::Binary("its scale is too large")),
        _ => return Err(Fault::Binary("its sign is unknown")),
    }
    Ok(())
}

/// A whole number of cents, printed as in the C locale and in those of the United States.
/// Source: `cash_out` in `cash.c`.
pub(crate) fn encode_money(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let (sign, amount) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, cents) =
        amount.strip_prefix('$').unwrap_or(amount).split_once('.').ok_or(Fault::Text)?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = whole.replace(',', "");
    if whole.is_empty() || cents.len() != 2 || !digits(&whole) || !digits(cents) {
        return Err(Fault::Text);
    }
    out.put_i64(format!("{sign}{whole}{cents}").parse().map_err(|_| Fault::OutOfRange)?);
    Ok(())
}

pub(crate) fn decode_money(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let cents = reader.i64()?;
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    let whole = (cents / 100).to_string();
    _ = write!(out, "{sign}$");
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    _ = write!(out, ".{:02}", cents % 100);
    Ok(())
}

fn put(groups: &[u16], weight: i16, sign: u16, scale: u16, out: &mut BytesMut) {
    out.put_u16(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_u16(scale);
    for group in groups {
        out.put_u16(*group);
    }
}

/// The groups without those of zeros at either end, and the power of 10,000 the first stands for.
fn groups(whole: &str, fraction: &str) -> Result<(Vec<u16>, i16), Fault> {
    let filled = whole.len().next_multiple_of(GROUP) - whole.len();
    let zeros = std::iter::repeat_n(b'0', filled);
    let digits: Vec<u8> = zeros.chain(whole.bytes()).chain(fraction.bytes()).collect();
    let mut groups = Vec::with_capacity(digits.len().div_ceil(GROUP));
    for digits in digits.chunks(GROUP) {
        let mut group = 0;
        for place in 0..GROUP {
            let digit = digits.get(place).copied().unwrap_or(b'0');
            if !digit.is_ascii_digit() {
                return Err(Fault::Text);
            }
            group = group * 10 + u16::from(digit - b'0');
        }
        groups.push(group);
    }
    let before_point = whole.len().div_ceil(GROUP);
    let leading = groups.iter().take_while(|group| **group == 0).count();
    if leading == groups.len() {
        return Ok((Vec::new(), 0));
    }
    groups.drain(..leading);
    groups.truncate(groups.iter().rposition(|group| *group != 0).map_or(0, |last| last + 1));
    let weight = i64::try_from(before_point).unwrap_or(i64::MAX) - 1;
    let weight = weight - i64::try_from(leading).unwrap_or(i64::MAX);
    Ok((groups, i16::try_from(weight).map_err(|_| Fault::OutOfRange)?))
}

fn group(reader: &mut Reader<'_>) -> Result<u16, Fault> {
    let group = reader.u16()?;
    if group < 10_000 { Ok(group) } else { Err(Fault::Binary("a digit is not below 10,000")) }
}

/// What stands behind the last digit of the scale is cut off, as `numeric_recv` does.
fn print(groups: &[u16], weight: i32, negative: bool, scale: usize, out: &mut String) {
    let at = |place: i32| {
        let index = usize::try_from(weight - place).ok();
        index.and_then(|index| groups.get(index)).copied().unwrap_or_default()
    };
    let start = out.len();
    if negative {
        out.push('-');
    }
    let first = (0..=weight).rev().find(|place| at(*place) != 0).unwrap_or_default();
    _ = write!(out, "{}", at(first));
    for place in (0..first).rev() {
        _ = write!(out, "{:04}", at(place));
    }
    if scale > 0 {
        out.push('.');
    }
    let point = out.len();
    for place in (1..).take(scale.div_ceil(GROUP)) {
        _ = write!(out, "{:04}", at(-place));
    }
    out.truncate(point + scale);
    if negative && !out.bytes().skip(start).any(|byte| matches!(byte, b'1'..=b'9')) {
        out.remove(start);
    }
}

/// Units: decimal digits.
const GROUP: usize = 4;
/// `NUMERIC_DSCALE_MAX`.
const MAX_SCALE: u16 = 0x3fff;
const POSITIVE: u16 = 0;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const POSITIVE_INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;
const SCALE_OF_INFINITY: u16 = 0x20;
