//! The types every server has.

use std::sync::Arc;

use crate::{
    kind::{Kind, Type},
    table::{Entry, TABLE},
};

/// The type with this OID, if it is one that PostgreSQL 13 to 18 come with and values can have.
///
/// The row types of the catalogs are none of them, nor are pseudo-types without values.
pub fn builtin(oid: u32) -> Option<Type> {
    let index = TABLE.binary_search_by_key(&oid, |(known, _, _)| *known).ok()?;
    let (_, name, entry) = TABLE.get(index)?;
    let kind = match entry {
        Entry::Base(base) => Kind::Base(*base),
        Entry::Array(element) => return Some(Type::array(oid, *name, builtin(*element)?)),
        Entry::Range(subtype) => Kind::Range(Arc::new(builtin(*subtype)?)),
        Entry::Multirange(range) => Kind::Multirange(Arc::new(builtin(*range)?)),
        Entry::Record => Kind::Record,
    };
    Some(Type { oid, name: (*name).into(), kind })
}
