//! Frames of smux version 1: frame.go of xtaci/smux 1.5.

use bytes::Buf as _;
use tokio::io::{self, AsyncRead, AsyncReadExt as _};

use super::super::message::Broken;

/// A frame, its data included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) command: Command,
    pub(super) stream: u32,
    pub(super) data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Open,
    Close,
    Data,
    KeepAlive,
}

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum Unread {
    /// The pipe has ended.
    Ended,
    Broken(Broken),
}

impl Frame {
    pub(super) fn new(command: Command, stream: u32) -> Self {
        Self { command, stream, data: Vec::new() }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut frame = vec![1, self.command as u8];
        frame.extend(u16::try_from(self.data.len()).unwrap_or(u16::MAX).to_le_bytes());
        frame.extend(self.stream.to_le_bytes());
        frame.extend(&self.data);
        frame
    }

    /// Cancel safety: none, a frame would be cut in two.
    pub(super) async fn read(pipe: &mut (impl AsyncRead + Unpin)) -> Result<Self, Unread> {
        let mut header = [0; 8];
        pipe.read_exact(&mut header).await?;
        let (frame, length) = Self::header(&header).map_err(Unread::Broken)?;
        let mut data = vec![0; length];
        pipe.read_exact(&mut data).await?;
        Ok(Self { data, ..frame })
    }

    fn header(mut header: &[u8]) -> Result<(Self, usize), Broken> {
        let (version, command) = (header.get_u8(), header.get_u8());
        let (length, stream) = (header.get_u16_le(), header.get_u32_le());
        if version != 1 {
            return Err(Broken(format!("smux version {version}")));
        }
        let command = match command {
            0 => Command::Open,
            1 => Command::Close,
            2 => Command::Data,
            3 => Command::KeepAlive,
            other => return Err(Broken(format!("smux command {other}"))),
        };
        let fits = match command {
            Command::Data => (1..=LONGEST).contains(&usize::from(length)) && stream != 0,
            Command::Open | Command::Close => length == 0 && stream % 2 == 1,
            Command::KeepAlive => length == 0 && stream == 0,
        };
        if !fits {
            let text = format!("smux {command:?} of {length} bytes on stream {stream}");
            return Err(Broken(text));
        }
        Ok((Self::new(command, stream), usize::from(length)))
    }
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

/// `MaxFrameSize` of both sides.
pub(super) const LONGEST: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_is_read_as_written() {
        let frame = Frame { data: b"hello".to_vec(), ..Frame::new(Command::Data, 3) };
        let bytes = frame.write();
        assert_eq!(bytes, b"\x01\x02\x05\x00\x03\x00\x00\x00hello");
        assert_eq!(Frame::read(&mut &*bytes).await.unwrap(), frame);
        assert!(matches!(Frame::read(&mut &bytes[..9]).await, Err(Unread::Ended)));
    }

    #[tokio::test]
    async fn frames_that_break_a_rule_are_refused() {
        for bytes in [
            b"\x02\x00\x00\x00\x03\x00\x00\x00",
            b"\x01\x04\x00\x00\x03\x00\x00\x00",
            b"\x01\x00\x00\x00\x02\x00\x00\x00",
            b"\x01\x00\x01\x00\x03\x00\x00\x00",
            b"\x01\x02\x00\x00\x03\x00\x00\x00",
            b"\x01\x02\x01\x80\x03\x00\x00\x00",
            b"\x01\x03\x00\x00\x03\x00\x00\x00",
        ] {
            let read = Frame::read(&mut &bytes[..]).await;
            assert!(matches!(read, Err(Unread::Broken(_))), "{bytes:?}");
        }
    }
}
