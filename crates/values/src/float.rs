//! Floating-point numbers, printed as PostgreSQL does: with as few digits as tell them apart.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use crate::{error::Fault, reader::Reader};

/// Appends a `float8` as a server prints it with `extra_float_digits` above zero.
pub fn write8(number: f64, out: &mut String) {
    if number.is_finite() {
        print(&shortest8(number), 15, out);
    } else {
        print_special(number, out);
    }
}

/// Appends a `float4` as a server prints it with `extra_float_digits` above zero.
pub fn write4(number: f32, out: &mut String) {
    if number.is_finite() {
        print(&shortest4(number), 6, out);
    } else {
        print_special(number.into(), out);
    }
}

pub(crate) fn encode8(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    out.put_f64(parse8(text)?);
    Ok(())
}

pub(crate) fn decode8(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write8(reader.f64()?, out);
    Ok(())
}

pub(crate) fn encode4(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    let number: f32 = checked(text)?.parse().map_err(|_| Fault::Text)?;
    if number.is_infinite() && !spells_infinity(text) {
        return Err(Fault::OutOfRange);
    }
    out.put_f32(number);
    Ok(())
}

pub(crate) fn decode4(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    write4(f32::from_be_bytes(reader.array()?), out);
    Ok(())
}

pub(crate) fn parse8(text: &str) -> Result<f64, Fault> {
    let number: f64 = checked(text)?.parse().map_err(|_| Fault::Text)?;
    let overflown = number.is_infinite() && !spells_infinity(text);
    if overflown { Err(Fault::OutOfRange) } else { Ok(number) }
}

/// Rust reads more words than PostgreSQL prints.
fn checked(text: &str) -> Result<&str, Fault> {
    let fits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e');
    let word = text == "NaN" || spells_infinity(text);
    if word || text.bytes().all(fits) { Ok(text) } else { Err(Fault::Text) }
}

fn spells_infinity(text: &str) -> bool {
    matches!(text, "Infinity" | "-Infinity")
}

fn print_special(number: f64, out: &mut String) {
    out.push_str(match number {
        _ if number.is_nan() => "NaN",
        _ if number > 0.0 => "Infinity",
        _ => "-Infinity",
    });
}

/// The digits are as Rust prints them with an exponent, but for two cases. Of two numbers of as
/// few digits which are as near, PostgreSQL takes the even one. And a number half way between two
/// floats is read as the one with the even mantissa, but `PostgreSQL`, which cannot be sure of its
/// reader, takes another. Source: `acceptBounds` and `lastRemovedDigit` in `d2s.c`.
fn shortest8(number: f64) -> String {
    let bits = number.to_bits();
    let float = Float::new(bits & ((1 << 52) - 1), bits >> 52 & 0x7ff, 52);
    let same = |text: &str| text.parse() == Ok(number);
    float.safe(format!("{number:e}"), |digits| format!("{number:.digits$e}"), same)
}

/// As [`shortest8`]. Source: `f2s.c`.
fn shortest4(number: f32) -> String {
    let bits = u64::from(number.to_bits());
    let float = Float::new(bits & ((1 << 23) - 1), bits >> 23 & 0xff, 23);
    let same = |text: &str| text.parse() == Ok(number);
    float.safe(format!("{number:e}"), |digits| format!("{number:.digits$e}"), same)
}

/// What a float is, and what is half way to each of its neighbours.
struct Float {
    own: Factors,
    bounds: [Factors; 2],
}

impl Float {
    /// From the fields of the IEEE format.
    fn new(fraction: u64, biased: u64, width: i32) -> Self {
        let bias = if width == 52 { 1023 } else { 127 };
        let exponent = i32::try_from(biased.max(1)).unwrap_or_default() - bias - width;
        let mantissa = if biased == 0 { fraction } else { fraction | 1 << width };
        let half = |twice: u64| Factors::of(twice, exponent - 1, 0);
        // Below a power of two, floats are twice as close.
        let below = match fraction {
            0 if biased > 1 => Factors::of(4 * mantissa - 1, exponent - 2, 0),
            _ => half((2 * mantissa).saturating_sub(1)),
        };
        Self { own: Factors::of(mantissa, exponent, 0), bounds: [below, half(2 * mantissa + 1)] }
    }

    /// The first that is no bound among the shortest text, its neighbours of the same length, and
    /// longer ones. `longer` prints so many digits behind the point.
    fn safe(
        &self,
        shortest: String,
        longer: impl Fn(usize) -> String,
        same: impl Fn(&str) -> bool,
    ) -> String {
        let Some(decimal) = Decimal::parse(&shortest) else { return shortest };
        let negative = shortest.starts_with('-');
        let even = self.even_of(decimal).map(|digits| decimal.with(digits, negative));
        if even.is_none() && !self.is_bounded_by(decimal) {
            return shortest;
        }
        let neighbours = [decimal.digits, decimal.digits + 1, decimal.digits.saturating_sub(1)];
        let neighbours = neighbours.map(|digits| decimal.with(digits, negative));
        let longer = (decimal.digits.to_string().len()..17).map(longer);
        even.into_iter()
            .chain(neighbours)
            .chain(longer)
            .find(|text| {
                same(text) && Decimal::parse(text).is_some_and(|other| !self.is_bounded_by(other))
            })
            .unwrap_or(shortest)
    }

    /// The even of two decimals if it is as near as the other, which is the odd one given.
    fn even_of(&self, odd: Decimal) -> Option<u64> {
        let tenfold = odd.digits.checked_mul(10)?;
        let is_between =
            |digits| self.own == Factors::of(digits, odd.exponent - 1, odd.exponent - 1);
        match odd.digits {
            digits if digits.is_multiple_of(2) => None,
            digits if is_between(tenfold - 5) => Some(digits - 1),
            digits if is_between(tenfold + 5) => Some(digits + 1),
            _ => None,
        }
    }

    /// Whether it is half way to a neighbour. Compared by prime factors, without large numbers.
    fn is_bounded_by(&self, decimal: Decimal) -> bool {
        self.bounds.contains(&Factors::of(decimal.digits, decimal.exponent, decimal.exponent))
    }
}

/// `digits * 10^exponent`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: u64,
    exponent: i32,
}

impl Decimal {
    /// Reads `-1.25e-7`.
    fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.trim_start_matches('-').split_once('e')?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().ok()?;
        let exponent: i32 = exponent.parse().ok()?;
        Some(Self { digits, exponent: exponent - i32::try_from(fraction.len()).ok()? })
    }

    /// Prints the same with other digits, again as `-1.25e-7`.
    fn with(self, digits: u64, negative: bool) -> String {
        let sign = if negative { "-" } else { "" };
        let text = digits.to_string();
        let (first, rest) = text.split_at_checked(1).unwrap_or((&text, ""));
        let exponent = self.exponent + i32::try_from(rest.len()).unwrap_or_default();
        let point = if rest.is_empty() { "" } else { "." };
        format!("{sign}{first}{point}{rest}e{exponent}")
    }
}

/// `2^twos * 5^fives * others`, the last free of both.
#[derive(PartialEq, Eq)]
struct Factors {
    twos: i32,
    fives: i32,
    others: u64,
}

impl Factors {
    fn of(mut others: u64, mut twos: i32, mut fives: i32) -> Self {
        while others != 0 && others.is_multiple_of(2) {
            others /= 2;
            twos += 1;
        }
        while others != 0 && others.is_multiple_of(5) {
            others /= 5;
            fives += 1;
        }
        Self { twos, fives, others }
    }
}

/// Prints what came as `-1.25e-7` without an exponent if that is from -4 up to `limit`, otherwise
/// with a sign and two digits at least. Source: `to_chars` in `d2s.c` and `f2s.c`.
fn print(scientific: &str, limit: i32, out: &mut String) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..limit).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(trim(mantissa));
        out.push('e');
        out.push(sign);
        _ = write!(out, "{:02}", exponent.abs());
        return;
    }
    let digits = mantissa.trim_start_matches('-').replace('.', "");
    let digits = digits.trim_end_matches('0');
    if mantissa.starts_with('-') {
        out.push('-');
    }
    let whole = usize::try_from(exponent + 1).unwrap_or_default();
    let (before, after) = digits.split_at_checked(whole).unwrap_or((digits, ""));
    let leading_zeros = usize::try_from(-exponent - 1).unwrap_or_default();
    let trailing_zeros = whole.saturating_sub(before.len());
    out.push_str(if whole == 0 { "0" } else { before });
    out.extend(std::iter::repeat_n('0', trailing_zeros));
    if !after.is_empty() {
        out.push('.');
        out.extend(std::iter::repeat_n('0', leading_zeros));
        out.push_str(after);
    }
}

/// Takes off zeros at the end of a fraction.
fn trim(mantissa: &str) -> &str {
    if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    }
}
