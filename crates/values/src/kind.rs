//! What a type is, as far as its values' forms depend on it.

use std::{borrow::Cow, sync::Arc};

use bytes::{BufMut as _, BytesMut};

use crate::{
    array,
    base::Base,
    error::{Fault, ValueError},
    range,
    reader::Reader,
    record,
};

/// A type, described well enough to convert its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// `pg_type.oid`, which the binary forms of arrays and records hold.
    pub oid: u32,
    /// `pg_type.typname`, for messages.
    pub name: Cow<'static, str>,
    /// What its values are made of.
    pub kind: Kind,
}

/// What the values of a type are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Nothing smaller: the forms are the type's own.
    Base(Base),
    /// One of a list of names. Both forms are the name.
    Enum,
    /// Another type with fewer values. Both forms are those of the other.
    Domain(Arc<Type>),
    /// Values of one type in up to six dimensions.
    Array {
        /// What it holds.
        element: Arc<Type>,
        /// What stands between two of them in a text: `pg_type.typdelim` of the element.
        delimiter: u8,
    },
    /// All values between two bounds of this type.
    Range(Arc<Type>),
    /// Several ranges, each of this type.
    Multirange(Arc<Type>),
    /// One value each of several types.
    Composite(Vec<Field>),
    /// A `record`: a composite whose fields are known to its query alone. Its binary form says them.
    Record,
}

/// An attribute of a composite type that is not dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// `pg_attribute.attname`.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

impl Type {
    /// Units: bytes. A few bytes of a `numeric` stand for a hundred thousand digits, and an array
    /// holds many of them: what is longer than this is refused.
    pub const MAX_TEXT: usize = 64 * 1024 * 1024;

    /// A type without parts.
    pub fn base(oid: u32, name: impl Into<Cow<'static, str>>, base: Base) -> Self {
        Self { oid, name: name.into(), kind: Kind::Base(base) }
    }

    /// An array of `element`, with a comma between two of them. The one built-in type that has
    /// another delimiter is `box`, known by [`Base::Box`].
    pub fn array(oid: u32, name: impl Into<Cow<'static, str>>, element: Self) -> Self {
        let delimiter = if element.kind == Kind::Base(Base::Box) { b';' } else { b',' };
        let kind = Kind::Array { element: Arc::new(element), delimiter };
        Self { oid, name: name.into(), kind }
    }

    /// Appends the binary form of what a server printed as `text`. It appends nothing if it fails.
    ///
    /// Besides what servers print it reads `true` and `false`, both forms of a `bytea`, and times
    /// with fractions of any length up to six digits. A `timestamptz` without a zone is in UTC.
    ///
    /// # Errors
    ///
    /// [`ValueError::Text`] and [`ValueError::OutOfRange`] for a text no server prints;
    /// [`ValueError::Lookup`], [`ValueError::NoBinary`] and [`ValueError::Undescribed`] for types
    /// whose text does not tell the binary form.
    pub fn to_binary(&self, text: &str, out: &mut BytesMut) -> Result<(), ValueError> {
        // No text of a database holds one.
        if text.contains('\0') {
            return Err(Fault::Text.of(&self.name));
        }
        let start = out.len();
        let done = self.encode(text, out);
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    /// Appends a text which a server reads as the value that `binary` is. It appends nothing if it
    /// fails. For what a server sent in binary it is the text that server would have sent instead.
    ///
    /// Values of `reg*` types come out as OIDs, which their input functions read.
    ///
    /// # Errors
    ///
    /// [`ValueError::Binary`] and [`ValueError::OutOfRange`] if the bytes are not of this type;
    /// [`ValueError::TooLong`] if the text is longer than [`Self::MAX_TEXT`];
    /// [`ValueError::NoBinary`] and [`ValueError::Undescribed`] if nobody could read them.
    pub fn to_text(&self, binary: &[u8], out: &mut String) -> Result<(), ValueError> {
        let start = out.len();
        let done = self.decode(binary, out);
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    /// Appends the binary form with its length before it, or -1 for NULL.
    pub(crate) fn encode_value(
        &self,
        text: Option<&str>,
        out: &mut BytesMut,
    ) -> Result<(), ValueError> {
        let Some(text) = text else {
            out.put_i32(-1);
            return Ok(());
        };
        let length_at = out.len();
        out.put_i32(0);
        self.encode(text, out)?;
        let length = i32::try_from(out.len() - length_at - size_of::<i32>());
        let length = length.map_err(|_| Fault::TooLong.of(&self.name))?;
        if let Some(place) = out.get_mut(length_at..length_at + size_of::<i32>()) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    /// The text of a part of another value. Its own string, since the whole may have to quote it.
    pub(crate) fn part_text(&self, binary: &[u8]) -> Result<String, ValueError> {
        let mut text = String::new();
        self.decode(binary, &mut text)?;
        Ok(text)
    }

    pub(crate) fn check_length(&self, out: &str) -> Result<(), ValueError> {
        if out.len() > Self::MAX_TEXT { Err(Fault::TooLong.of(&self.name)) } else { Ok(()) }
    }

    fn encode(&self, text: &str, out: &mut BytesMut) -> Result<(), ValueError> {
        match &self.kind {
            Kind::Base(base) => base.encode(text, out).map_err(|fault| fault.of(&self.name)),
            Kind::Enum => Base::Text.encode(text, out).map_err(|fault| fault.of(&self.name)),
            Kind::Domain(base) => base.encode(text, out),
            Kind::Array { element, delimiter } => {
                array::encode(self, element, *delimiter, text, out)
            }
            Kind::Range(subtype) => range::encode(self, subtype, text, out),
            Kind::Multirange(range) => range::encode_several(self, range, text, out),
            Kind::Composite(fields) => record::encode(self, fields, text, out),
            Kind::Record => Err(Fault::Undescribed.of(&self.name)),
        }
    }

    fn decode(&self, binary: &[u8], out: &mut String) -> Result<(), ValueError> {
        let mut reader = Reader::new(binary);
        let named = |fault: Fault| fault.of(&self.name);
        match &self.kind {
            Kind::Base(base) => base.decode(&mut reader, out).map_err(named)?,
            Kind::Enum => Base::Text.decode(&mut reader, out).map_err(named)?,
            Kind::Domain(base) => return base.decode(binary, out),
            Kind::Array { element, delimiter } => {
                array::decode(self, element, *delimiter, &mut reader, out)?;
            }
            Kind::Range(subtype) => range::decode(self, subtype, &mut reader, out)?,
            Kind::Multirange(range) => range::decode_several(self, range, &mut reader, out)?,
            Kind::Composite(fields) => record::decode(self, fields, &mut reader, out)?,
            Kind::Record => record::decode_described(self, &mut reader, out)?,
        }
        reader.finish().map_err(named)?;
        self.check_length(out)
    }
}

/// Whether what says it is of type `sent` may be of `wanted`. Types that a database defines have other
/// OIDs in every database: as PostgreSQL does, only those of two built-in types are compared. Source:
/// `array_recv` in `arrayfuncs.c` and `record_recv` in `rowtypes.c`.
pub(crate) fn may_be(sent: u32, wanted: u32) -> bool {
    sent == wanted || sent >= FIRST_OF_NO_FIXED_OID || wanted >= FIRST_OF_NO_FIXED_OID
}

/// `FirstGenbkiObjectId` in `access/transam.h`.
const FIRST_OF_NO_FIXED_OID: u32 = 10_000;
