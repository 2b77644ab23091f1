//! How long to wait before trying again: longer each time, never the same for two.

use std::time::Duration;

/// Doubling waits up to a limit, each shortened by chance to between a half and the whole.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { next: first, most }
    }

    /// The next wait; `chance` is between 0 and 1.
    pub(crate) fn wait(&mut self, chance: f64) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.most);
        wait.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_stay_there() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        let waits: Vec<_> = (0..4).map(|_| backoff.wait(1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 300, 300]);
    }

    #[test]
    fn chance_shortens_a_wait_to_a_half_at_most() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(backoff.wait(0.0), Duration::from_millis(500));
        assert_eq!(backoff.wait(0.5), Duration::from_millis(750));
    }
}
