//! Borrowed text.

use core::ffi::c_char;

/// UTF-8 text, not NUL-terminated, borrowed for the length of the call it is passed to.
///
/// Nothing here is checked: a plugin may pass any pointer, and text from it may not be UTF-8.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Str {
    /// The first byte; NULL when absent.
    pub ptr: *const c_char,
    /// Length in bytes; 0 when absent.
    pub len: usize,
}

impl Str {
    /// No text.
    pub const NONE: Self = Self { ptr: core::ptr::null(), len: 0 };

    /// Effect: points at `text`. The result says nothing about the lifetime: keep `text` alive for
    /// the call.
    pub const fn borrow(text: &str) -> Self {
        Self { ptr: text.as_ptr().cast(), len: text.len() }
    }

    /// Effect: the bytes it points at; empty when absent.
    ///
    /// # Safety
    ///
    /// `ptr` is NULL, or valid for reads of `len` bytes for all of `'call`, which must not outlive
    /// the call this text was passed to.
    #[expect(unsafe_code, reason = "the border of the contract")]
    pub const unsafe fn bytes<'call>(self) -> &'call [u8] {
        if self.ptr.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: not NULL, and the caller vouches for `len` bytes during 'call.
        unsafe { core::slice::from_raw_parts(self.ptr.cast(), self.len) }
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self::borrow(text)
    }
}
