//! How transactions end, as far as command tags tell.

use super::event::TransactionEnd;
use crate::message::TransactionStatus;

/// The transaction block of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transaction {
    /// None is open.
    None,
    /// One is open.
    Open,
    /// A `ROLLBACK` was answered. Whether it ended the block or went back to a savepoint shows later,
    /// for both have the same tag.
    RolledBack,
}

impl Transaction {
    /// Takes a command tag with its terminator.
    pub(super) fn on_tag(&mut self, tag: &[u8]) -> Option<TransactionEnd> {
        let (next, end) = match (tag, *self) {
            (b"BEGIN\0" | b"START TRANSACTION\0", Self::RolledBack) => {
                (Self::Open, Some(TransactionEnd::Rollback))
            }
            (b"BEGIN\0" | b"START TRANSACTION\0", _) => (Self::Open, None),
            (b"COMMIT\0", Self::Open | Self::RolledBack) => {
                (Self::None, Some(TransactionEnd::Commit))
            }
            (b"ROLLBACK\0", Self::Open) => (Self::RolledBack, None),
            (_, unchanged) => (unchanged, None),
        };
        *self = next;
        end
    }

    /// Takes the status of a `ReadyForQuery`.
    pub(super) fn on_status(&mut self, status: TransactionStatus) -> Option<TransactionEnd> {
        let before = std::mem::replace(self, Self::Open);
        if status != TransactionStatus::Idle {
            return None;
        }
        *self = Self::None;
        (before == Self::RolledBack).then_some(TransactionEnd::Rollback)
    }
}
