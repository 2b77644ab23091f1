//! The text form of SCRAM messages: `a=value,b=value`.

use super::{MESSAGE_MAX, ScramError};

/// A message as text, once its length and characters are known to be harmless.
pub(super) fn checked(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_MAX {
        return Err(ScramError::TooLong);
    }
    match str::from_utf8(message) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(ScramError::Malformed("characters")),
    }
}

/// Source: `printable` in RFC 5802, section 7.
pub(super) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, 0x21..=0x2b | 0x2d..=0x7e))
}

/// The attributes of a message, taken one by one.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    parts: std::iter::Peekable<std::str::Split<'a, char>>,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(message: &'a str) -> Self {
        Self { parts: message.split(',').peekable() }
    }

    pub(super) fn next_is(&mut self, name: char) -> bool {
        self.parts.peek().is_some_and(|part| value_of(part, name).is_some())
    }

    /// The value of the next attribute, which has to be this one.
    pub(super) fn take(&mut self, name: char) -> Option<&'a str> {
        self.parts.next().and_then(|part| value_of(part, name))
    }
}

fn value_of(part: &str, name: char) -> Option<&str> {
    part.strip_prefix(name)?.strip_prefix('=')
}
