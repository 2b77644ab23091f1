//! Decimal numbers in PostgreSQL's binary form: groups of four digits.
//!
//! Source: `numeric_send` in `src/backend/utils/adt/numeric.c` of PostgreSQL.

/// None for what is no plain decimal number.
pub(super) fn encode(text: &str) -> Option<Vec<u8>> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{whole:0>0$}", whole.len().next_multiple_of(4));
    let padded = padded + &format!("{fraction:0<0$}", fraction.len().next_multiple_of(4));
    let groups: Vec<i16> = padded
        .as_bytes()
        .chunks(4)
        .map(|group| text_of(group).parse())
        .collect::<Result<_, _>>()
        .ok()?;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let used = groups.len() - groups.iter().rev().take_while(|group| **group == 0).count();
    let groups = groups.get(leading..used).unwrap_or_default();
    // The place of the first group before the point; below zero for those after it.
    let before = i16::try_from(whole.len().div_ceil(4)).ok()?;
    let weight = before - i16::try_from(leading).ok()? - 1;
    let sign = if groups.is_empty() { 0 } else { sign };
    let weight = if groups.is_empty() { 0 } else { weight };
    let head =
        [i16::try_from(groups.len()).ok()?, weight, sign, i16::try_from(fraction.len()).ok()?];
    Some(head.iter().chain(groups).flat_map(|it| it.to_be_bytes()).collect())
}

/// As PostgreSQL writes it; none for NaN and the infinities.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let words: Vec<i16> = bytes
        .chunks_exact(2)
        .filter_map(|it| Some(i16::from_be_bytes(it.try_into().ok()?)))
        .collect();
    let [count, weight, sign, scale, groups @ ..] = words.as_slice() else { return None };
    let (weight, scale) = (i32::from(*weight), usize::try_from(*scale).ok()?);
    if (*sign != 0 && *sign != NEGATIVE) || usize::try_from(*count).ok()? != groups.len() {
        return None;
    }
    let group = |place: i32| {
        let index = usize::try_from(weight - place).ok();
        index.and_then(|index| groups.get(index)).copied().unwrap_or_default()
    };
    let written = |places: &mut dyn Iterator<Item = i32>| {
        places.map(|place| format!("{:04}", group(place))).collect::<Vec<_>>().concat()
    };
    let whole = written(&mut (0..=weight.max(0)).rev());
    let whole = whole.trim_start_matches('0');
    let places = i32::try_from(scale.div_ceil(4)).ok()?;
    let fraction = written(&mut (1..=places).map(|place| -place));
    let mut text = String::new();
    text.push_str(if *sign == NEGATIVE { "-" } else { "" });
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if let Some(fraction) = fraction.get(..scale).filter(|it| !it.is_empty()) {
        text.push('.');
        text.push_str(fraction);
    }
    Some(text)
}

fn text_of(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}

const NEGATIVE: i16 = 0x4000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read_again() {
        for text in [
            "0",
            "0.00",
            "1",
            "-1",
            "10000",
            "1.10",
            "0.0001",
            "0.00001",
            "-123456789.987654321",
            "100000000",
            "0.5",
            "99999999999999999999999999999999.5",
        ] {
            assert_eq!(decode(&encode(text).unwrap()).as_deref(), Some(text));
        }
        assert_eq!(decode(&encode("-0").unwrap()).as_deref(), Some("0"));
        assert_eq!(decode(&encode("+007").unwrap()).as_deref(), Some("7"));
    }

    #[test]
    fn the_form_is_postgresqls_own() {
        // SELECT numeric_send(-12345.67)
        let sent = [0, 3, 0, 1, 0x40, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x2c];
        assert_eq!(encode("-12345.67").as_deref(), Some(&sent[..]));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1e5", "NaN", "1 ", "1.2.3"] {
            assert_eq!(encode(text), None, "{text}");
        }
    }

    #[test]
    fn nan_has_no_digits() {
        assert_eq!(decode(&[0, 0, 0, 0, 0xc0, 0, 0, 0]), None);
    }
}
