//! What went through the relay.

use super::settings::Direction;

/// Totals since the relay started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted, whatever became of them.
    pub accepted: u64,
    /// Connections open now, swallowed ones included.
    pub open: u64,
    /// Bytes delivered from the frontend to the backend.
    pub towards_backend: u64,
    /// Bytes delivered from the backend to the frontend.
    pub towards_frontend: u64,
}

impl Counters {
    /// Bytes delivered in one direction.
    pub fn delivered(&self, direction: Direction) -> u64 {
        match direction {
            Direction::TowardsBackend => self.towards_backend,
            Direction::TowardsFrontend => self.towards_frontend,
        }
    }

    pub(super) fn add(&mut self, direction: Direction, bytes: u64) {
        match direction {
            Direction::TowardsBackend => self.towards_backend += bytes,
            Direction::TowardsFrontend => self.towards_frontend += bytes,
        }
    }
}
