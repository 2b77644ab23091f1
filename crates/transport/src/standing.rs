//! Whether an instance takes opens: not while it is held down, disabled or on its way out. Pure: the
//! time comes in.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::Status;
use crate::error::Failure;

/// Whether an instance takes opens.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    phase: Phase,
    disabled: Option<Failure>,
    panics: VecDeque<Instant>,
    down_until: Option<Instant>,
}

/// How far an instance's life has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Serving,
    /// Nothing new; what is under way is being cancelled.
    Draining,
    /// The plugin's instance is gone, or was given up.
    Gone,
}

impl Standing {
    /// Whether an open may start now.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Failure> {
        if self.phase > Phase::Serving {
            return Err(Failure::new(Status::Cancelled, "shutting down"));
        }
        if let Some(why) = &self.disabled {
            return Err(why.clone());
        }
        let Some(left) = self.down_until.map(|until| until.saturating_duration_since(now)) else {
            return Ok(());
        };
        if left.is_zero() {
            self.down_until = None;
            return Ok(());
        }
        Err(Failure {
            retry_after: Some(left),
            ..Failure::new(
                Status::Panic,
                format!("held down for {} more seconds after panics", left.as_secs().max(1)),
            )
        })
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.disabled.is_some()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Moves on. Gives whether it was not there before.
    pub(crate) fn advance(&mut self, phase: Phase) -> bool {
        let moved = self.phase < phase;
        self.phase = self.phase.max(phase);
        moved
    }

    /// Refuses every open from now on. The first reason stays.
    pub(crate) fn disable(&mut self, why: Failure) {
        self.disabled.get_or_insert(why);
    }

    /// Counts a panic. Gives how long the instance is held down if this one was too many.
    pub(crate) fn panicked(&mut self, now: Instant) -> Option<Duration> {
        self.panics.push_back(now);
        while self.panics.front().is_some_and(|first| now.duration_since(*first) > PANIC_WINDOW) {
            self.panics.pop_front();
        }
        if self.panics.len() < PANICS {
            return None;
        }
        self.panics.clear();
        self.down_until = Some(now + HELD_DOWN);
        Some(HELD_DOWN)
    }
}

const PANICS: usize = 3;
const PANIC_WINDOW: Duration = Duration::from_mins(1);
const HELD_DOWN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn three_panics_within_a_minute_hold_it_down_for_half_a_minute() {
        let (mut standing, start) = (Standing::default(), Instant::now());
        assert_eq!(standing.panicked(start), None);
        assert_eq!(standing.panicked(start + seconds(20)), None);
        assert_eq!(standing.panicked(start + seconds(59)), Some(HELD_DOWN));
        let refused = standing.admit(start + seconds(60)).unwrap_err();
        assert_eq!((refused.status, refused.retry_after), (Status::Panic, Some(seconds(29))));
        assert_eq!(standing.admit(start + seconds(89)), Ok(()));
    }

    #[test]
    fn panics_far_apart_are_forgiven() {
        let (mut standing, start) = (Standing::default(), Instant::now());
        for minute in 0..10 {
            assert_eq!(standing.panicked(start + seconds(31 * minute)), None);
        }
    }

    #[test]
    fn the_first_reason_to_disable_it_stays() {
        let mut standing = Standing::default();
        standing.disable(Failure::new(Status::Config, "first"));
        standing.disable(Failure::new(Status::Internal, "second"));
        assert_eq!(standing.admit(Instant::now()).unwrap_err().message, "first");
    }

    #[test]
    fn nothing_starts_once_it_drains() {
        let mut standing = Standing::default();
        assert!(standing.advance(Phase::Draining));
        assert!(!standing.advance(Phase::Draining));
        assert_eq!(standing.admit(Instant::now()).unwrap_err().status, Status::Cancelled);
    }
}
