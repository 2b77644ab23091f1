//! What a client says first.

use std::io;

use tokio::io::AsyncRead;

use super::wire::{frame, read_sized, sized};

/// The first packet, which has no type byte.
pub(super) enum Opening {
    Tls,
    GssEncryption,
    /// The packet, to be handed on as it is.
    Cancel(Vec<u8>),
    Session(Startup),
}

/// A startup message.
pub(super) struct Startup {
    minor: u16,
    parameters: Vec<(String, String)>,
}

impl Opening {
    /// Not cancel safe.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let packet = read_sized(stream).await?;
        let (code, rest) = packet.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
        match u32::from_be_bytes(*code) {
            80_877_103 => Ok(Self::Tls),
            80_877_104 => Ok(Self::GssEncryption),
            80_877_102 => Ok(Self::Cancel(sized(&packet))),
            version if version >> 16 == 3 => {
                let minor = u16::try_from(version & 0xffff).map_err(io::Error::other)?;
                Ok(Self::Session(Startup { minor, parameters: parameters(rest)? }))
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Startup {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The user's own if none is named.
    pub(super) fn database<'a>(&'a self, user: &'a str) -> &'a str {
        self.parameter("database").filter(|name| !name.is_empty()).unwrap_or(user)
    }

    /// `NegotiateProtocolVersion`, if the client wants more than 3.0.
    pub(super) fn negotiation(&self) -> Option<Vec<u8>> {
        let options: Vec<_> =
            self.parameters.iter().map(|(name, _)| name).filter(|it| is_option(it)).collect();
        if self.minor == 0 && options.is_empty() {
            return None;
        }
        let mut body = 0_u32.to_be_bytes().to_vec();
        body.extend(u32::try_from(options.len()).unwrap_or(0).to_be_bytes());
        for option in options {
            body.extend(format!("{option}\0").into_bytes());
        }
        Some(frame(b'v', &body))
    }

    /// The same session, asked of the real server in version 3.0.
    pub(super) fn packet(&self) -> Vec<u8> {
        let mut body = VERSION_3_0.to_be_bytes().to_vec();
        for (name, value) in self.parameters.iter().filter(|(name, _)| !is_option(name)) {
            body.extend(format!("{name}\0{value}\0").into_bytes());
        }
        body.push(0);
        sized(&body)
    }
}

fn is_option(name: &str) -> bool {
    name.starts_with("_pq_.")
}

fn parameters(bytes: &[u8]) -> io::Result<Vec<(String, String)>> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
    let text = std::str::from_utf8(bytes).map_err(invalid)?;
    let parts: Vec<&str> = text.split('\0').collect();
    let (pairs, _) = parts.as_chunks::<2>();
    let named = pairs.iter().take_while(|[name, _]| !name.is_empty());
    Ok(named.map(|[name, value]| ((*name).to_owned(), (*value).to_owned())).collect())
}

const VERSION_3_0: u32 = 3 << 16;
