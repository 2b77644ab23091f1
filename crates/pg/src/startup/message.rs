//! The `StartupMessage`: version and parameters.

use bytes::{BufMut, Bytes, BytesMut};

use super::{NegotiateProtocolVersion, ProtocolVersion, StartupError};
use crate::message::{ContainsNul, put_cstring};

/// Names of protocol options, as opposed to settings of the session, start with this.
const PROTOCOL_OPTION: &[u8] = b"_pq_.";

/// A request for a session, as bytes: names and values have the application's encoding, which nobody
/// knows yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupMessage {
    /// What the application asked for.
    pub version: ProtocolVersion,
    /// In the order they came.
    pub parameters: Vec<(Bytes, Bytes)>,
}

/// Whether the session is for replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// An ordinary session.
    None,
    /// Streaming of the write-ahead log.
    Physical,
    /// Replication commands and SQL in one database.
    Logical,
}

impl StartupMessage {
    /// Parses what follows the code of a packet.
    ///
    /// **Errors**: the application's fault: version, layout, missing user, senseless replication.
    pub(super) fn parse_body(code: u32, content: &[u8]) -> Result<Self, StartupError> {
        let version = ProtocolVersion::from_code(code);
        if version.major != 3 {
            return Err(StartupError::UnsupportedVersion(version));
        }
        let message = Self { version, parameters: parse_parameters(content)? };
        if message.user().is_empty() {
            return Err(StartupError::MissingUser);
        }
        message.try_replication()?;
        Ok(message)
    }

    /// The value of a parameter. The last one wins, as in PostgreSQL.
    pub fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        self.parameters.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_ref())
    }

    /// The user; never empty in a parsed message.
    pub fn user(&self) -> &[u8] {
        self.parameter(b"user").unwrap_or_default()
    }

    /// The database: the user's name unless another one is given.
    pub fn database(&self) -> &[u8] {
        self.parameter(b"database").filter(|name| !name.is_empty()).unwrap_or_else(|| self.user())
    }

    /// Whether the session is for replication.
    pub fn replication(&self) -> Replication {
        self.try_replication().unwrap_or(Replication::None)
    }

    /// The `_pq_.` options. None is known here.
    pub fn protocol_options(&self) -> impl Iterator<Item = &(Bytes, Bytes)> {
        self.parameters.iter().filter(|(name, _)| name.starts_with(PROTOCOL_OPTION))
    }

    /// The version that is spoken with the application.
    pub fn effective_version(&self) -> ProtocolVersion {
        self.version.min(ProtocolVersion::NEWEST)
    }

    /// What to tell the application, before authentication, if it asked for more than there is.
    pub fn negotiate(&self) -> Option<NegotiateProtocolVersion> {
        let unrecognized_options: Vec<Bytes> =
            self.protocol_options().map(|(name, _)| name.clone()).collect();
        let version = self.effective_version();
        (version != self.version || !unrecognized_options.is_empty())
            .then_some(NegotiateProtocolVersion { version, unrecognized_options })
    }

    /// The packet that asks a database for the same session as another user.
    ///
    /// It speaks 3.0, which every server does, and leaves out protocol options, which were answered
    /// here. Everything else is passed on as it came, in its order. The database is always named, for
    /// its default is the user, who may have changed; `None` keeps the application's.
    ///
    /// **Errors**: the caller's fault: a zero byte in a name would smuggle in other parameters.
    pub fn for_backend(&self, user: &[u8], database: Option<&[u8]>) -> Result<Bytes, ContainsNul> {
        let mut out = BytesMut::with_capacity(256);
        out.put_u32(0);
        out.put_u32(ProtocolVersion::V3_0.code());
        for (name, value) in
            [(&b"user"[..], user), (b"database", database.unwrap_or_else(|| self.database()))]
        {
            put_cstring(&mut out, name)?;
            put_cstring(&mut out, value)?;
        }
        for (name, value) in &self.parameters {
            let replaced = matches!(&name[..], b"user" | b"database");
            if !replaced && !name.starts_with(PROTOCOL_OPTION) {
                put_cstring(&mut out, name)?;
                put_cstring(&mut out, value)?;
            }
        }
        out.put_u8(0);
        let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
        if let Some(field) = out.first_chunk_mut::<4>() {
            *field = length.to_be_bytes();
        }
        Ok(out.freeze())
    }

    fn try_replication(&self) -> Result<Replication, StartupError> {
        match self.parameter(b"replication") {
            None => Ok(Replication::None),
            Some(b"database") => Ok(Replication::Logical),
            Some(value) => match parse_bool(value) {
                Some(true) => Ok(Replication::Physical),
                Some(false) => Ok(Replication::None),
                None => Err(StartupError::InvalidReplication),
            },
        }
    }
}

fn parse_parameters(content: &[u8]) -> Result<Vec<(Bytes, Bytes)>, StartupError> {
    // One copy; the parameters are slices of it.
    let content = Bytes::copy_from_slice(content);
    let mut parameters = Vec::new();
    let mut position = 0;
    loop {
        let name = cstring_at(&content, position)?;
        position += name.len() + 1;
        if name.is_empty() {
            break;
        }
        let value = cstring_at(&content, position)?;
        position += value.len() + 1;
        parameters.push((name, value));
    }
    if position == content.len() { Ok(parameters) } else { Err(StartupError::InvalidLayout) }
}

fn cstring_at(content: &Bytes, position: usize) -> Result<Bytes, StartupError> {
    let rest = content.get(position..).unwrap_or_default();
    let length = rest.iter().position(|byte| *byte == 0).ok_or(StartupError::InvalidLayout)?;
    Ok(content.slice(position..position + length))
}

/// Source: `parse_bool_with_len` in PostgreSQL's `src/backend/utils/adt/bool.c`: any case, any
/// unambiguous beginning.
fn parse_bool(value: &[u8]) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    let begins = |word: &[u8], at_least: usize| value.len() >= at_least && word.starts_with(&value);
    if begins(b"true", 1) || begins(b"yes", 1) || begins(b"on", 2) || value == b"1" {
        Some(true)
    } else if begins(b"false", 1) || begins(b"no", 1) || begins(b"off", 2) || value == b"0" {
        Some(false)
    } else {
        None
    }
}
