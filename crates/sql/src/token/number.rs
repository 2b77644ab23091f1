//! Numbers.

use super::starts_word;

/// The length of the number that `rest` begins with: a digit, or a point and a digit.
///
/// A letter right behind a number is an error since PostgreSQL 15, and began a word before: with a
/// letter behind it, a number is what it was then.
pub(super) fn length(rest: &[u8]) -> usize {
    let modern = modern(rest);
    if rest.get(modern).is_some_and(|byte| starts_word(*byte)) {
        decimal(rest, Underscores::End)
    } else {
        modern
    }
}

/// Whether `_` may stand between two digits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Underscores {
    Separate,
    End,
}

/// As PostgreSQL 16 has it.
fn modern(rest: &[u8]) -> usize {
    let radix: fn(&u8) -> bool = match rest {
        [b'0', b'x' | b'X', ..] => u8::is_ascii_hexdigit,
        [b'0', b'o' | b'O', ..] => |byte| matches!(byte, b'0'..=b'7'),
        [b'0', b'b' | b'B', ..] => |byte| matches!(byte, b'0' | b'1'),
        _ => return decimal(rest, Underscores::Separate),
    };
    // Here an underscore may come first too.
    let first = if rest.get(2) == Some(&b'_') { 3 } else { 2 };
    match digits(rest, first, radix, Underscores::Separate) {
        end if end > first => end,
        _ => 1,
    }
}

fn decimal(rest: &[u8], underscores: Underscores) -> usize {
    let digits = |from| digits(rest, from, u8::is_ascii_digit, underscores);
    let mut end = digits(0);
    // In `1..2` both dots are a token of their own.
    if rest.get(end) == Some(&b'.') && rest.get(end + 1) != Some(&b'.') {
        end = digits(end + 1);
    }
    if !matches!(rest.get(end), Some(b'e' | b'E')) {
        return end;
    }
    let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
    let exponent = end + 1 + sign;
    match digits(exponent) {
        whole if whole > exponent => whole,
        _ => end,
    }
}

/// Where the digits from `from` on end.
fn digits(rest: &[u8], from: usize, is_digit: fn(&u8) -> bool, underscores: Underscores) -> usize {
    let digit = |at: usize| rest.get(at).is_some_and(is_digit);
    let mut end = from;
    loop {
        if digit(end) {
            end += 1;
        } else if underscores == Underscores::Separate
            && end > from
            && rest.get(end) == Some(&b'_')
            && digit(end + 1)
        {
            end += 2;
        } else {
            return end;
        }
    }
}
