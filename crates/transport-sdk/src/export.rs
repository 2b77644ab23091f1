//! The export macro and what it is made of.

use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;

use pgferry_transport_abi::{ABI_MAJOR, ABI_MINOR, Plugin};
use schemars::schema_for;

use crate::{Transport, entry};

/// Exports a transport under the name users write as `kind` (with `_` where they write `-`).
///
/// Exports the symbol `pgferry_transport_<name>_v1` and gives the crate a function `entry()`, which a
/// binary that links the crate registers. Once per module.
///
/// The library has to be called `pgferry_transport_<name>` too (`[lib] name = …`).
#[macro_export]
macro_rules! export_transport {
    ($transport:ty, $name:literal) => {
        /// The descriptor of this transport, for a binary that links it.
        pub fn entry() -> $crate::Entry {
            __pgferry_transport_entry
        }

        #[doc(hidden)]
        #[allow(unsafe_code, reason = "an exported symbol is what makes a plugin")]
        #[unsafe(export_name = concat!("pgferry_transport_", $name, "_v1"))]
        pub unsafe extern "C" fn __pgferry_transport_entry() -> *const $crate::private::Plugin {
            const ABOUT: &str = <$transport as $crate::Transport>::ABOUT;
            static ABOUT_NUL: [u8; ABOUT.len() + 1] = $crate::private::nul_terminated(ABOUT);
            extern "C" fn schema() -> *const ::core::ffi::c_char {
                static SCHEMA: ::std::sync::OnceLock<::std::ffi::CString> =
                    ::std::sync::OnceLock::new();
                $crate::private::schema::<$transport>(&SCHEMA)
            }
            static DESCRIPTOR: $crate::private::Plugin = $crate::private::descriptor::<$transport>(
                concat!($name, "\0"),
                concat!(env!("CARGO_PKG_VERSION"), "\0"),
                &ABOUT_NUL,
                schema,
            );
            &raw const DESCRIPTOR
        }
    };
}

/// The descriptor of a transport. A text without a NUL at its end, or with one inside, stops the
/// build.
pub const fn descriptor<T: Transport>(
    name: &'static str,
    version: &'static str,
    about: &'static [u8],
    config_schema: extern "C" fn() -> *const c_char,
) -> Plugin {
    #[expect(clippy::cast_possible_truncation, reason = "a table of sixteen fields")]
    let struct_size = size_of::<Plugin>() as u32;
    Plugin {
        struct_size,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        min_host_minor: 0,
        reserved: 0,
        reserved2: 0,
        flags: T::FLAGS,
        name: c_text(name.as_bytes()),
        version: c_text(version.as_bytes()),
        about: c_text(about),
        config_schema: Some(config_schema),
        create: Some(entry::create::<T>),
        open: Some(entry::open::<T>),
        cancel: Some(entry::cancel::<T>),
        probe: None,
        destroy: Some(entry::destroy::<T>),
    }
}

/// `text` with a NUL behind it; `N` is one more than its length.
#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler, where out of bounds is an error"
)]
pub const fn nul_terminated<const N: usize>(text: &str) -> [u8; N] {
    let (mut bytes, mut at) = ([0; N], 0);
    while at < text.len() {
        bytes[at] = text.as_bytes()[at];
        at += 1;
    }
    bytes
}

/// The JSON Schema of a transport's configuration, made once. NULL if it can't be written down.
pub fn schema<T: Transport>(made: &'static OnceLock<CString>) -> *const c_char {
    let text = made.get_or_init(|| {
        let schema = std::panic::catch_unwind(|| schema_for!(T::Config).to_value().to_string());
        schema.ok().and_then(|text| CString::new(text).ok()).unwrap_or_default()
    });
    if text.is_empty() { std::ptr::null() } else { text.as_ptr() }
}

#[expect(clippy::panic, reason = "runs in the compiler, where it is an error")]
const fn c_text(bytes: &'static [u8]) -> *const c_char {
    match CStr::from_bytes_with_nul(bytes) {
        Ok(text) => text.as_ptr(),
        Err(_) => panic!("a text of the descriptor has a NUL inside"),
    }
}
