//! The few messages the front writes and reads itself.
//!
//! Source: PostgreSQL, "Frontend/Backend Protocol", Message Formats.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A message with a type byte.
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// As it goes over the wire.
    pub(super) fn bytes(&self) -> Vec<u8> {
        frame(self.kind, &self.body)
    }
}

/// Reads one message. Not cancel safe.
pub(super) async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let kind = stream.read_u8().await?;
    let body = read_sized(stream).await?;
    Ok(Message { kind, body })
}

/// Reads a length and what it counts, itself included. Not cancel safe.
pub(super) async fn read_sized(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let length = length.checked_sub(4).filter(|length| *length <= LONGEST);
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Writes a FATAL `ErrorResponse`, after which the session is over.
pub(super) async fn refuse(
    stream: &mut (impl AsyncWrite + Unpin),
    code: &str,
    message: &str,
) -> io::Result<()> {
    let fields = [('S', "FATAL"), ('V', "FATAL"), ('C', code), ('M', message)];
    let mut body = Vec::new();
    for (field, value) in fields {
        body.extend(format!("{field}{value}\0").into_bytes());
    }
    body.push(0);
    stream.write_all(&frame(b'E', &body)).await?;
    stream.shutdown().await
}

/// `Authentication…` with this code.
pub(super) fn authentication(code: u32) -> Vec<u8> {
    frame(b'R', &code.to_be_bytes())
}

pub(super) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(sized(body));
    bytes
}

pub(super) fn sized(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

/// PostgreSQL's own limit before a login.
const LONGEST: u32 = 65_535;
