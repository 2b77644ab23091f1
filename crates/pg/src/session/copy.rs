//! COPY inside a session: who streams, and what that does to `Sync`.

use super::{Session, pending::Entry};

/// An open stream of copy data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMode {
    /// None.
    None,
    /// From the application.
    In,
    /// To the application.
    Out,
    /// Both ways: replication.
    Both,
}

impl Session {
    /// `CopyInResponse`. From here to `CopyDone` or `CopyFail` the database ignores `Sync`, because
    /// applications send one behind `Execute` before they know that it is a COPY. Some may be in the
    /// queue already, and even the end of the copy data.
    ///
    /// If the COPY fails, nobody but the database knows which of those `Sync`s it read before it
    /// failed (ignored) and which after (answered). They are taken for ignored, and remembered, so that
    /// an answer too many does not end what comes next.
    pub(super) fn copy_in_begins(&mut self) {
        self.copy = CopyMode::In;
        self.ignored_syncs = 0;
        self.pending.front_is_copy();
        while let Some(Entry::Sync | Entry::CopyEnd) = self.pending.second() {
            match self.pending.remove_second() {
                Some(Entry::CopyEnd) => {
                    self.copy = CopyMode::None;
                    return;
                }
                _ => self.ignored_syncs += 1,
            }
        }
    }

    /// `CopyOutResponse`.
    pub(super) fn copy_out_begins(&mut self) {
        self.copy = CopyMode::Out;
        self.pending.front_is_copy();
    }

    /// `CopyDone` or `CopyFail` of the application.
    pub(super) fn copy_ends(&mut self) {
        match self.copy {
            CopyMode::In => self.copy = CopyMode::None,
            CopyMode::Both => {}
            // Either the answer to the COPY is not here yet, or there is no COPY any more.
            CopyMode::None | CopyMode::Out => self.pending.push_copy_end(),
        }
    }

    /// `CopyBothResponse`: the stream goes on for days and is no operation.
    pub(super) fn streaming_begins(&mut self) {
        self.copy = CopyMode::Both;
        self.pending.front_is_streaming();
    }
}
