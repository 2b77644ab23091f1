//! The faults that are asked for at the moment.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Where bytes are going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected to the relay, to the address behind it.
    TowardsBackend,
    /// From the address behind the relay, to whoever connected.
    TowardsFrontend,
}

/// What happens to new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewConnections {
    /// They are relayed.
    #[default]
    Relay,
    /// The port is closed: connecting is refused.
    Refuse,
    /// They are accepted, then reset.
    Reset,
    /// They are accepted, and nothing ever comes back.
    Swallow,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    towards_backend: Lane,
    towards_frontend: Lane,
    /// How often connections were reset; a connection ends when the number changes.
    pub(super) resets: u64,
}

/// One direction's faults.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    pub(super) delay: Duration,
    pub(super) rate: Option<NonZeroU64>,
    pub(super) stalled: bool,
    /// How often this direction was ended; a connection's direction ends when the number changes.
    pub(super) half_closes: u64,
    allowance: Option<Arc<Allowance>>,
}

/// How many bytes may still pass before a connection is cut.
#[derive(Debug)]
pub(super) struct Allowance(AtomicU64);

impl Settings {
    pub(super) fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::TowardsBackend => &self.towards_backend,
            Direction::TowardsFrontend => &self.towards_frontend,
        }
    }

    pub(super) fn lane_mut(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::TowardsBackend => &mut self.towards_backend,
            Direction::TowardsFrontend => &mut self.towards_frontend,
        }
    }
}

impl Lane {
    pub(super) fn allow(&mut self, bytes: u64) {
        self.allowance = Some(Arc::new(Allowance(AtomicU64::new(bytes))));
    }

    pub(super) fn allowance(&self) -> Option<&Arc<Allowance>> {
        self.allowance.as_ref()
    }
}

impl Allowance {
    /// Takes up to `wanted` bytes. The second value tells whether they were the last: it is true
    /// once, for the connection that has to go.
    pub(super) fn take(&self, wanted: u64) -> (u64, bool) {
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left != SPENT).then(|| if left <= wanted { SPENT } else { left - wanted })
        });
        match before {
            Ok(left) if left <= wanted => (left, true),
            // Enough is left, or the cut was made already.
            Ok(_) | Err(_) => (wanted, false),
        }
    }
}

const SPENT: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_ends_one_connection_and_then_limits_nothing() {
        let allowance = Allowance(AtomicU64::new(10));
        assert_eq!(allowance.take(6), (6, false));
        assert_eq!(allowance.take(6), (4, true));
        assert_eq!(allowance.take(6), (6, false));
    }

    #[test]
    fn an_allowance_of_nothing_cuts_before_the_first_byte() {
        assert_eq!(Allowance(AtomicU64::new(0)).take(6), (0, true));
    }
}
