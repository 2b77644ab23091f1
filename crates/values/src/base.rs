//! The types that are made of nothing smaller, and which function reads and writes each form.

use bytes::BytesMut;

use crate::{
    bits, bytea, character, datetime, error::Fault, float, geometry, json, network, number,
    numeric, reader::Reader, search, snapshot, uuid,
};

/// The forms of a type without parts. Several types may share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the types' own names")]
pub enum Base {
    Bit,
    Bool,
    Box,
    Bytea,
    /// `"char"`, a single byte.
    Char,
    Cidr,
    Circle,
    Date,
    Float4,
    Float8,
    Inet,
    Int2,
    Int2Vector,
    Int4,
    Int8,
    Interval,
    Jsonb,
    JsonPath,
    Line,
    Lseg,
    MacAddr,
    MacAddr8,
    Money,
    Numeric,
    /// `oid`, `xid` and `cid`: a number of 32 bits without a sign.
    Oid,
    OidVector,
    Path,
    PgLsn,
    Point,
    Polygon,
    /// The OID of something that has a name: `regclass` and its like.
    Reg,
    /// The OID of an operator: `regoper` and `regoperator`.
    RegOperator,
    /// `pg_snapshot` and `txid_snapshot`.
    Snapshot,
    /// Every type whose binary form is its text.
    Text,
    /// `aclitem`, and every type whose binary form is unknown here.
    TextOnly,
    Tid,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    TsQuery,
    TsVector,
    Uuid,
    Void,
    Xid8,
}

impl Base {
    /// The forms of a type whose send function is this one: `pg_proc.prosrc` of `pg_type.typsend`, of
    /// the language `internal`. It is the one of a built-in type even where an extension named the
    /// function otherwise, as `citext` does. For all others it is [`Self::TextOnly`].
    pub fn of_send(source: &str) -> Self {
        let found = BY_SEND.iter().find(|(name, _)| *name == source);
        found.map_or(Self::TextOnly, |(_, base)| *base)
    }

    pub(crate) fn encode(self, text: &str, out: &mut BytesMut) -> Result<(), Fault> {
        (self.codec().0)(text, out)
    }

    pub(crate) fn decode(self, reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
        (self.codec().1)(reader, out)
    }

    const fn codec(self) -> Codec {
        match self {
            Self::Bit => (bits::encode, bits::decode),
            Self::Bool => (number::encode_bool, number::decode_bool),
            Self::Box => (geometry::encode_box, geometry::decode_box),
            Self::Bytea => (bytea::encode, bytea::decode),
            Self::Char => (character::encode_byte, character::decode_byte),
            Self::Cidr => (network::encode_cidr, network::decode_cidr),
            Self::Circle => (geometry::encode_circle, geometry::decode_circle),
            Self::Date => (datetime::encode_date, datetime::decode_date),
            Self::Float4 => (float::encode4, float::decode4),
            Self::Float8 => (float::encode8, float::decode8),
            Self::Inet => (network::encode_inet, network::decode_inet),
            Self::Int2 => (number::encode_int2, number::decode_int2),
            Self::Int2Vector => (number::encode_int2vector, number::decode_int2vector),
            Self::Int4 => (number::encode_int4, number::decode_int4),
            Self::Int8 => (number::encode_int8, number::decode_int8),
            Self::Interval => (datetime::encode_interval, datetime::decode_interval),
            Self::Jsonb | Self::JsonPath => (json::encode, json::decode),
            Self::Line => (geometry::encode_line, geometry::decode_line),
            Self::Lseg => (geometry::encode_lseg, geometry::decode_lseg),
            Self::MacAddr => (network::encode_macaddr, network::decode_macaddr),
            Self::MacAddr8 => (network::encode_macaddr8, network::decode_macaddr8),
            Self::Money => (numeric::encode_money, numeric::decode_money),
            Self::Numeric => (numeric::encode, numeric::decode),
            Self::Oid => (number::encode_oid, number::decode_oid),
            Self::OidVector => (number::encode_oidvector, number::decode_oidvector),
            Self::Path => (geometry::encode_path, geometry::decode_path),
            Self::PgLsn => (snapshot::encode_lsn, snapshot::decode_lsn),
            Self::Point => (geometry::encode_point, geometry::decode_point),
            Self::Polygon => (geometry::encode_polygon, geometry::decode_polygon),
            Self::Reg => (number::encode_reg, number::decode_reg),
            Self::RegOperator => (number::encode_reg_operator, number::decode_oid),
            Self::Snapshot => (snapshot::encode, snapshot::decode),
            Self::Text => (character::encode, character::decode),
            Self::TextOnly => (character::refuse_encode, character::refuse_decode),
            Self::Tid => (snapshot::encode_tid, snapshot::decode_tid),
            Self::Time => (datetime::encode_time, datetime::decode_time),
            Self::TimeTz => (datetime::encode_timetz, datetime::decode_timetz),
            Self::Timestamp => (datetime::encode_timestamp, datetime::decode_timestamp),
            Self::TimestampTz => (datetime::encode_timestamptz, datetime::decode_timestamptz),
            Self::TsQuery => (search::encode_query, search::decode_query),
            Self::TsVector => (search::encode_vector, search::decode_vector),
            Self::Uuid => (uuid::encode, uuid::decode),
            Self::Void => (character::encode_void, character::decode_void),
            Self::Xid8 => (number::encode_xid8, number::decode_xid8),
        }
    }
}

type Codec = (
    fn(&str, &mut BytesMut) -> Result<(), Fault>,
    fn(&mut Reader<'_>, &mut String) -> Result<(), Fault>,
);

/// Source: `pg_type.dat` and `pg_proc.dat` in PostgreSQL's `src/include/catalog`.
const BY_SEND: &[(&str, Base)] = &[
    ("bit_send", Base::Bit),
    ("boolsend", Base::Bool),
    ("box_send", Base::Box),
    ("bpcharsend", Base::Text),
    ("byteasend", Base::Bytea),
    ("cash_send", Base::Money),
    ("charsend", Base::Char),
    ("cidr_send", Base::Cidr),
    ("cidsend", Base::Oid),
    ("circle_send", Base::Circle),
    ("cstring_send", Base::Text),
    ("date_send", Base::Date),
    ("float4send", Base::Float4),
    ("float8send", Base::Float8),
    ("inet_send", Base::Inet),
    ("int2send", Base::Int2),
    ("int2vectorsend", Base::Int2Vector),
    ("int4send", Base::Int4),
    ("int8send", Base::Int8),
    ("interval_send", Base::Interval),
    ("json_send", Base::Text),
    ("jsonb_send", Base::Jsonb),
    ("jsonpath_send", Base::JsonPath),
    ("line_send", Base::Line),
    ("lseg_send", Base::Lseg),
    ("macaddr8_send", Base::MacAddr8),
    ("macaddr_send", Base::MacAddr),
    ("namesend", Base::Text),
    ("numeric_send", Base::Numeric),
    ("oidsend", Base::Oid),
    ("oidvectorsend", Base::OidVector),
    ("path_send", Base::Path),
    ("pg_lsn_send", Base::PgLsn),
    ("pg_node_tree_send", Base::Text),
    ("pg_snapshot_send", Base::Snapshot),
    ("point_send", Base::Point),
    ("poly_send", Base::Polygon),
    ("regclasssend", Base::Reg),
    ("regcollationsend", Base::Reg),
    ("regconfigsend", Base::Reg),
    ("regdictionarysend", Base::Reg),
    ("regnamespacesend", Base::Reg),
    ("regoperatorsend", Base::RegOperator),
    ("regopersend", Base::RegOperator),
    ("regproceduresend", Base::Reg),
    ("regprocsend", Base::Reg),
    ("regrolesend", Base::Reg),
    ("regtypesend", Base::Reg),
    ("textsend", Base::Text),
    ("tidsend", Base::Tid),
    ("time_send", Base::Time),
    ("timestamp_send", Base::Timestamp),
    ("timestamptz_send", Base::TimestampTz),
    ("timetz_send", Base::TimeTz),
    ("tsquerysend", Base::TsQuery),
    ("tsvectorsend", Base::TsVector),
    ("unknownsend", Base::Text),
    ("uuid_send", Base::Uuid),
    ("varbit_send", Base::Bit),
    ("varcharsend", Base::Text),
    ("void_send", Base::Void),
    ("xid8send", Base::Xid8),
    ("xidsend", Base::Oid),
    ("xml_send", Base::Text),
];
