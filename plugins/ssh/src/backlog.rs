//! What one session has not taken yet.
//!
//! russh gives a channel's window back when data arrives and not when it is read, and stops reading
//! the whole bastion connection while one channel's queue is full. So each channel is read as fast as
//! data comes, and what its session does not take waits here: a session that pauses holds nobody else
//! up until this is full too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf as _, Bytes};

use crate::block::Block;

/// Most bytes that wait for one session. Beyond it the other sessions on the connection wait too.
const FULL: usize = 64 * 1024 * 1024;
/// So many bytes are more than a reader that is merely busy leaves.
const HELD_UP: usize = 1024 * 1024;

/// How many sessions of a connection leave their data waiting.
#[derive(Clone, Default)]
pub(crate) struct Pressure(Arc<AtomicUsize>);

impl Pressure {
    /// Whether a new session on this connection might come to wait for another one.
    pub(crate) fn is_high(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

/// The system has no memory left for bytes that wait: the session cannot go on.
#[derive(Debug)]
pub(crate) struct OutOfMemory;

/// The bytes that wait for one session.
pub(crate) struct Backlog {
    /// What is being written, as it came if nothing waited before it.
    front: Bytes,
    blocks: VecDeque<Block>,
    bytes: usize,
    pressure: Pressure,
    presses: bool,
}

impl Backlog {
    pub(crate) fn new(pressure: Pressure) -> Self {
        Self { front: Bytes::new(), blocks: VecDeque::new(), bytes: 0, pressure, presses: false }
    }

    /// Takes bytes that came.
    ///
    /// Errors: the system has no memory for them.
    pub(crate) fn push(&mut self, data: Bytes) -> Result<(), OutOfMemory> {
        let length = data.len();
        if self.front.is_empty() {
            self.front = data;
        } else {
            self.keep(&data)?;
        }
        self.bytes += length;
        self.weigh();
        Ok(())
    }

    /// The bytes to write next; none if nothing waits.
    pub(crate) fn front(&self) -> &[u8] {
        &self.front
    }

    /// Takes bytes off the front that have been written.
    pub(crate) fn written(&mut self, count: usize) {
        let count = count.min(self.front.len());
        self.front.advance(count);
        self.bytes -= count;
        if self.front.is_empty() {
            // Even when nothing follows: the old one's memory goes.
            self.front = self.blocks.pop_front().map_or_else(Bytes::new, Bytes::from);
        }
        self.weigh();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= FULL
    }

    fn keep(&mut self, mut data: &[u8]) -> Result<(), OutOfMemory> {
        if let Some(block) = self.blocks.back_mut() {
            data = block.fill(data);
        }
        while !data.is_empty() {
            let mut block = Block::new().ok_or(OutOfMemory)?;
            data = block.fill(data);
            self.blocks.push_back(block);
        }
        Ok(())
    }

    /// Counts this session among those that leave data waiting, or no longer.
    fn weigh(&mut self) {
        let presses = if self.presses { self.bytes > 0 } else { self.bytes > HELD_UP };
        if presses && !self.presses {
            self.pressure.0.fetch_add(1, Ordering::AcqRel);
        } else if self.presses && !presses {
            self.pressure.0.fetch_sub(1, Ordering::AcqRel);
        }
        self.presses = presses;
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.bytes = 0;
        self.weigh();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn megabytes(count: usize) -> Bytes {
        vec![0; count * 1024 * 1024].into()
    }

    #[test]
    fn a_session_that_leaves_data_waiting_presses_until_it_has_taken_all() {
        let pressure = Pressure::default();
        let mut backlog = Backlog::new(pressure.clone());
        backlog.push(megabytes(1)).unwrap();
        assert!(!pressure.is_high(), "a busy reader is no paused one");
        backlog.push(megabytes(1)).unwrap();
        assert!(pressure.is_high());
        backlog.written(1024 * 1024);
        assert!(pressure.is_high());
        backlog.written(1024 * 1024);
        assert!(!pressure.is_high());
        assert!(backlog.is_empty());
    }

    #[test]
    fn a_session_that_ends_presses_no_more() {
        let pressure = Pressure::default();
        let mut backlog = Backlog::new(pressure.clone());
        backlog.push(megabytes(2)).unwrap();
        drop(backlog);
        assert!(!pressure.is_high());
    }

    #[test]
    fn what_waits_is_bounded_and_keeps_its_order() {
        let mut backlog = Backlog::new(Pressure::default());
        backlog.push(Bytes::from_static(b"ab")).unwrap();
        backlog.push(Bytes::new()).unwrap();
        backlog.push(Bytes::from_static(b"c")).unwrap();
        assert_eq!(backlog.front(), b"ab");
        backlog.written(1);
        assert_eq!(backlog.front(), b"b");
        backlog.written(1);
        assert_eq!(backlog.front(), b"c");
        assert!(!backlog.is_full());
        backlog.push(megabytes(64)).unwrap();
        assert!(backlog.is_full());
    }
}
