//! PostgreSQL's values, pure: the text and the binary form of every built-in type.
//!
//! What it is: a converter. [`Type::to_binary`] makes of what a server prints what the same server
//! would have sent in binary, and [`Type::to_text`] makes of what a client sends in binary a text
//! that the server reads as the same value. [`record::fields`] takes apart a row that was printed as
//! one value. It knows each type by a description alone: [`builtin`] gives those every server has,
//! and [`catalog::types`] those that a database defines.
//!
//! ```
//! # use bytes::BytesMut;
//! let interval = pgferry_values::builtin(1186).expect("interval");
//! let mut binary = BytesMut::new();
//! interval.to_binary("1 mon -1 days +02:00:00", &mut binary)?;
//! let mut text = String::new();
//! interval.to_text(&binary, &mut text)?;
//! assert_eq!(text, "1 mon -1 days +02:00:00");
//! # Ok::<(), pgferry_values::ValueError>(())
//! ```
//!
//! What it is not: PostgreSQL's input functions. Text is read in the forms that servers print with
//! `DateStyle` ISO, `IntervalStyle` postgres and UTC, besides the few others an item's words name;
//! `'tomorrow'` is no date here. It looks up nothing: the OID of a `regclass` is in the catalog
//! alone.
//!
//! Whatever comes in is distrusted: lengths are checked, nothing recurses deeper than the type, and
//! nothing panics. No error holds the value it is about.
//!
//! Source: the PostgreSQL documentation, chapters 8 "Data Types" and 55.2 "Message Flow", and the
//! `send`, `recv`, `in` and `out` functions in `src/backend/utils/adt`, named where they are followed.

pub mod array;
mod base;
mod bits;
mod builtin;
mod bytea;
pub mod catalog;
mod character;
mod datetime;
mod error;
pub mod float;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod geometry;
mod json;
mod kind;
mod network;
mod number;
mod numeric;
mod range;
mod reader;
pub mod record;
mod scan;
mod search;
mod snapshot;
mod table;
mod uuid;

pub use base::Base;
pub use builtin::builtin;
pub use bytea::write_hex;
pub use error::ValueError;
pub use kind::{Field, Kind, Type};
