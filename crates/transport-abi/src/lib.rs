//! The transport contract in C types: `include/pgferry_transport.h` and its Rust mirror, nothing else.
//!
//! The header is the specification: it says who owns what, which thread calls what, and what each
//! status means. This crate repeats its types with the same layout (a test compares size and offset
//! of every field) and holds no behaviour and no dependency.
//!
//! It isn't the way to write a plugin in Rust: that is `pgferry-transport-sdk`. The host's side is
//! `pgferry-transport`.
//!
//! Start from [`Plugin`] (what a plugin exports) and [`Host`] (what it may call).

mod status;
mod tables;
mod text;

pub use status::{Flags, LogLevel, MetricKind, State, Status};
pub use tables::{BytesCallback, EntryV1, Host, Instance, NO_SOCK, Op, Plugin, Sock, SockCallback};
pub use text::Str;

/// The major version this crate describes. It is part of the exported symbol's name.
pub const ABI_MAJOR: u16 = 1;
/// The minor version this crate describes. A minor only appends fields.
pub const ABI_MINOR: u16 = 0;

/// Whether a table of `struct_size` bytes is long enough to hold a field: `PGFERRY_HAS` of the header.
///
/// ```
/// use pgferry_transport_abi::{Plugin, has};
/// assert!(has!(Plugin, destroy, std::mem::size_of::<Plugin>() as u32));
/// assert!(!has!(Plugin, destroy, 16));
/// ```
#[macro_export]
macro_rules! has {
    ($table:ty, $field:ident, $struct_size:expr) => {
        $crate::reaches(
            ::core::mem::offset_of!($table, $field),
            |table: &$table| &table.$field,
            $struct_size,
        )
    };
}

/// What [`has!`] expands to. The accessor is never called: it names the field's type.
#[doc(hidden)]
pub fn reaches<Table, Field>(offset: usize, _: fn(&Table) -> &Field, struct_size: u32) -> bool {
    let end = offset.saturating_add(size_of::<Field>());
    usize::try_from(struct_size).is_ok_and(|size| end <= size)
}
