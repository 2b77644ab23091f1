//! A secret the host handed over.

use std::fmt;

use zeroize::Zeroizing;

use crate::Error;

/// A secret the host handed over: wiped when dropped, and it doesn't show itself.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret itself. Keep the borrow short and copy it nowhere.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Effect: copies the host's bytes; the host wipes its own.
    ///
    /// Errors: `CONFIG` when they aren't text.
    pub(crate) fn copy(value: &[u8]) -> Result<Self, Error> {
        std::str::from_utf8(value)
            .map(|text| Self(Zeroizing::new(text.to_owned())))
            .map_err(|_| Error::config("the secret isn't UTF-8 text"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
