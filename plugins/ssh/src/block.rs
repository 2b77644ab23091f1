//! Memory for bytes that wait long, which goes back to the system as soon as they are gone.

use bytes::Bytes;
use memmap2::MmapMut;

/// Bytes of one block.
const SIZE: usize = 1024 * 1024;

/// Bytes in pages of their own. A heap keeps what is freed in its middle, so a session that paused
/// once would cost its memory for good.
pub(crate) struct Block {
    pages: MmapMut,
    used: usize,
}

impl Block {
    /// An empty block; `None` if the system has no pages to give.
    pub(crate) fn new() -> Option<Self> {
        MmapMut::map_anon(SIZE).ok().map(|pages| Self { pages, used: 0 })
    }

    /// Takes what fits and gives the rest back.
    pub(crate) fn fill<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let room = self.pages.get_mut(self.used..).unwrap_or_default();
        let (fits, rest) = data.split_at(data.len().min(room.len()));
        if let Some(room) = room.get_mut(..fits.len()) {
            room.copy_from_slice(fits);
            self.used += fits.len();
        }
        rest
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.pages.get(..self.used).unwrap_or_default()
    }
}

impl From<Block> for Bytes {
    fn from(block: Block) -> Self {
        Self::from_owner(block)
    }
}
