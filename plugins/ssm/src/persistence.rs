//! How soon, and for how long, a session is resumed that loses its `WebSocket`s: pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// The attempts to resume a session. Those after a `WebSocket` that was good for nothing go on where the last ones
/// stopped: neither the waits nor the time for all of them begin anew.
pub(crate) struct Persistence {
    /// For all attempts together.
    limit: Duration,
    backoff: Backoff,
    until: Option<Instant>,
    /// Whether the next attempt need not wait.
    at_once: bool,
    connected_at: Instant,
    /// The agent's signs of life by then.
    signs: u64,
}

impl Persistence {
    /// Of a session that has its first `WebSocket` just `now`.
    pub(crate) fn new(limit: Duration, now: Instant) -> Self {
        let backoff = Self::backoff();
        Self { limit, backoff, until: None, at_once: true, connected_at: now, signs: 0 }
    }

    /// There is a `WebSocket` again; the agent has given so many `signs` of life before.
    pub(crate) fn on_connected(&mut self, now: Instant, signs: u64) {
        (self.connected_at, self.signs) = (now, signs);
    }

    /// It is lost.
    pub(crate) fn on_lost(&mut self, now: Instant, signs: u64) {
        if signs > self.signs || now - self.connected_at >= SETTLED {
            (self.backoff, self.until, self.at_once) = (Self::backoff(), None, true);
        }
        self.until.get_or_insert(now + self.limit);
    }

    /// How long to wait before the next attempt; nothing if there is no time for one. `chance` is between 0 and 1.
    pub(crate) fn wait(&mut self, now: Instant, chance: f64) -> Option<Duration> {
        if std::mem::take(&mut self.at_once) {
            return Some(Duration::ZERO);
        }
        let wait = self.backoff.wait(chance);
        self.until.is_none_or(|until| now + wait < until).then_some(wait)
    }

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(10))
    }
}

/// What lasts so long was good for something, even if the agent had nothing to say.
const SETTLED: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wait(persistence: &mut Persistence, now: Instant) -> Option<u128> {
        persistence.wait(now, 1.0).map(|wait| wait.as_millis())
    }

    #[test]
    fn attempts_after_websockets_that_die_at_once_wait_longer_each_time_and_end() {
        let now = Instant::now();
        let mut persistence = Persistence::new(SECOND, now);
        let mut waits = Vec::new();
        for _ in 0..4 {
            persistence.on_lost(now, 0);
            waits.push(wait(&mut persistence, now));
            persistence.on_connected(now, 0);
        }
        assert_eq!(waits, [Some(0), Some(100), Some(200), Some(400)]);
        persistence.on_lost(now + SECOND, 0);
        assert_eq!(wait(&mut persistence, now + SECOND), None);
    }

    #[test]
    fn a_websocket_that_was_good_for_something_starts_it_all_anew() {
        for (lasted, signs) in [(SECOND, 1), (SETTLED, 0)] {
            let now = Instant::now();
            let mut persistence = Persistence::new(SECOND, now);
            persistence.on_lost(now, 0);
            assert_eq!(wait(&mut persistence, now), Some(0));
            assert_eq!(wait(&mut persistence, now), Some(100));
            persistence.on_connected(now, 0);
            persistence.on_lost(now + lasted, signs);
            assert_eq!(wait(&mut persistence, now + lasted), Some(0));
            assert_eq!(wait(&mut persistence, now + lasted), Some(100));
        }
    }
}
