//! The session's clock: monotonic, and standing still while the application does not read.

use std::time::Duration;

use pgferry_pg::session::Tick;
use tokio::time::Instant;

/// Excludes the time the relay was blocked on the application, so that a paused client does not
/// look like a slow database.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    stalled: Duration,
    stalled_since: Option<Instant>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now(), stalled: Duration::ZERO, stalled_since: None }
    }

    pub(crate) fn tick(&self) -> Tick {
        let now = self.stalled_since.unwrap_or_else(Instant::now);
        Tick(nanos(now.duration_since(self.origin).saturating_sub(self.stalled)))
    }

    /// The application has stopped reading: the clock stands.
    pub(crate) fn stall(&mut self) {
        self.stalled_since.get_or_insert_with(Instant::now);
    }

    /// The application reads again. Returns how long it did not, in nanoseconds.
    pub(crate) fn resume(&mut self) -> Option<u64> {
        let stalled = self.stalled_since.take()?.elapsed();
        self.stalled += stalled;
        Some(nanos(stalled))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_blocked_on_the_application_is_not_counted() {
        let mut clock = Clock::start();
        tokio::time::advance(Duration::from_millis(5)).await;
        clock.stall();
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(clock.tick(), Tick(5_000_000));
        assert_eq!(clock.resume(), Some(60_000_000_000));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(clock.tick(), Tick(6_000_000));
    }
}
