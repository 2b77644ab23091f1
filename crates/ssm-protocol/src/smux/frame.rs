use bytes::{BufMut as _, BytesMut};

/// What a frame does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Opens a stream.
    Syn,
    /// Its sender has no more data. Agents close their connection upon it, whatever they had still to send.
    Fin,
    /// Data.
    Psh,
    /// A keep-alive.
    Nop,
}

/// The eight bytes before a frame's data: version, command, length and stream, the last two little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame does.
    pub command: Command,
    /// How many bytes of data follow.
    pub length: u16,
    /// Which stream; 0 for keep-alives.
    pub stream: u32,
}

impl Header {
    /// Bytes of it.
    pub const LENGTH: usize = 8;

    /// Reads one.
    ///
    /// # Errors
    /// Another version or command: the two ends no longer agree where frames begin, and the session is lost.
    pub fn decode(bytes: [u8; Self::LENGTH]) -> Result<Self, InvalidProtocol> {
        let [version, command, l0, l1, s0, s1, s2, s3] = bytes;
        let command = match command {
            0 => Command::Syn,
            1 => Command::Fin,
            2 => Command::Psh,
            3 => Command::Nop,
            _ => return Err(InvalidProtocol { version, command }),
        };
        if version != VERSION {
            return Err(InvalidProtocol { version, command: command.number() });
        }
        let stream = u32::from_le_bytes([s0, s1, s2, s3]);
        Ok(Self { command, length: u16::from_le_bytes([l0, l1]), stream })
    }

    /// Appends it.
    pub fn encode(self, to: &mut BytesMut) {
        to.put_u8(VERSION);
        to.put_u8(self.command.number());
        to.put_u16_le(self.length);
        to.put_u32_le(self.stream);
    }
}

impl Command {
    fn number(self) -> u8 {
        match self {
            Self::Syn => 0,
            Self::Fin => 1,
            Self::Psh => 2,
            Self::Nop => 3,
        }
    }
}

/// The bytes are none of smux version 1. The fault of the agent, or of a byte that was lost before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no frame of smux version 1: version {version}, command {command}")]
#[non_exhaustive]
pub struct InvalidProtocol {
    /// The byte in the version's place.
    pub version: u8,
    /// The byte in the command's place.
    pub command: u8,
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_eight_bytes_with_little_endian_numbers() {
        let header = Header { command: Command::Psh, length: 0x0102, stream: 3 };
        let mut bytes = BytesMut::new();
        header.encode(&mut bytes);
        assert_eq!(&bytes[..], [1, 2, 2, 1, 3, 0, 0, 0]);
        assert_eq!(Header::decode(bytes[..].try_into().unwrap()), Ok(header));
    }

    #[test]
    fn other_versions_and_commands_are_none_of_the_protocol() {
        for wrong in [[2, 2], [1, 4], [0, 0], [255, 255]] {
            let [version, command] = wrong;
            let bytes = [version, command, 0, 0, 0, 0, 0, 0];
            assert_eq!(Header::decode(bytes), Err(InvalidProtocol { version, command }));
        }
    }
}
