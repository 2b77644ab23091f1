//! Reads what a text form is put together from.

use std::str::FromStr;

use crate::error::Fault;

/// The text of a value that is still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    pub(crate) const fn rest(&self) -> &'a str {
        self.0
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.as_bytes().first().copied()
    }

    /// Skips `expected` if it comes next, and says whether it did.
    pub(crate) fn eats(&mut self, expected: &str) -> bool {
        let rest = self.0.strip_prefix(expected);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// As [`Self::eats`], for a single ASCII byte.
    pub(crate) fn eats_byte(&mut self, expected: u8) -> bool {
        self.eats(char::from(expected).encode_utf8(&mut [0; 4]))
    }

    pub(crate) fn expect(&mut self, expected: &str) -> Result<(), Fault> {
        if self.eats(expected) { Ok(()) } else { Err(Fault::Text) }
    }

    /// The longest start of what is left that consists of such bytes. They must be ASCII.
    pub(crate) fn while_ascii(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let fits = |byte: &u8| byte.is_ascii() && wanted(*byte);
        let end = self.0.bytes().position(|byte| !fits(&byte)).unwrap_or(self.0.len());
        let (head, rest) = self.0.split_at_checked(end).unwrap_or((self.0, ""));
        self.0 = rest;
        head
    }

    /// What comes before the first of these bytes, which must be ASCII.
    pub(crate) fn until(&mut self, ends: &[u8]) -> &'a str {
        let end = self.0.bytes().position(|byte| ends.contains(&byte)).unwrap_or(self.0.len());
        let (head, rest) = self.0.split_at_checked(end).unwrap_or((self.0, ""));
        self.0 = rest;
        head
    }

    pub(crate) fn digits(&mut self) -> &'a str {
        self.while_ascii(|byte| byte.is_ascii_digit())
    }

    /// A number without a sign.
    pub(crate) fn number<T: FromStr>(&mut self) -> Result<T, Fault> {
        let digits = self.digits();
        if digits.is_empty() {
            return Err(Fault::Text);
        }
        digits.parse().map_err(|_| Fault::OutOfRange)
    }

    /// A number that may have a sign.
    pub(crate) fn signed<T: FromStr>(&mut self) -> Result<T, Fault> {
        let mut ahead = *self;
        ahead.while_ascii(|byte| byte == b'-' || byte == b'+');
        ahead.digits();
        let length = self.0.len() - ahead.0.len();
        let number = self.0.get(..length).unwrap_or_default();
        *self = ahead;
        integer(number)
    }

    pub(crate) fn finish(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::Text) }
    }
}

/// A whole number: too large a one is another fault than none.
pub(crate) fn integer<T: FromStr>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if numeric { Fault::OutOfRange } else { Fault::Text }
    })
}
