//! Protocol versions and their negotiation.

use bytes::{BufMut, Bytes, BytesMut};

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProtocolVersion {
    /// 3 since PostgreSQL 7.4.
    pub major: u16,
    /// 0, or 2 since PostgreSQL 18.
    pub minor: u16,
}

impl ProtocolVersion {
    /// What every server speaks.
    pub const V3_0: Self = Self { major: 3, minor: 0 };
    /// Cancel keys of up to 256 bytes.
    pub const V3_2: Self = Self { major: 3, minor: 2 };
    /// The newest that is spoken here.
    pub const NEWEST: Self = Self::V3_2;

    /// The version in a startup packet's code.
    pub fn from_code(code: u32) -> Self {
        let [a, b, c, d] = code.to_be_bytes();
        Self { major: u16::from_be_bytes([a, b]), minor: u16::from_be_bytes([c, d]) }
    }

    /// The version as it stands in a startup packet.
    pub fn code(self) -> u32 {
        u32::from(self.major) << 16 | u32::from(self.minor)
    }
}

/// Tells the application what it asked for and does not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiateProtocolVersion {
    /// The version that is spoken from here on.
    pub version: ProtocolVersion,
    /// Protocol options that are unknown here.
    pub unrecognized_options: Vec<Bytes>,
}

impl NegotiateProtocolVersion {
    /// The whole message.
    ///
    /// The documentation calls the first field the newest *minor* version; servers send, and libpq
    /// since 18 demands, the whole one.
    ///
    /// Source: `SendNegotiateProtocolVersion` in PostgreSQL's `backend_startup.c` and
    /// `pqGetNegotiateProtocolVersion3` in `fe-protocol3.c`.
    pub fn encode(&self) -> Bytes {
        let names: usize = self.unrecognized_options.iter().map(|name| name.len() + 1).sum();
        let mut out = BytesMut::with_capacity(13 + names);
        out.put_u8(b'v');
        // Bounded by the startup packet that named the options.
        out.put_u32(u32::try_from(12 + names).unwrap_or(u32::MAX));
        out.put_u32(self.version.code());
        out.put_u32(u32::try_from(self.unrecognized_options.len()).unwrap_or(u32::MAX));
        for name in &self.unrecognized_options {
            out.put_slice(name);
            out.put_u8(0);
        }
        out.freeze()
    }
}
