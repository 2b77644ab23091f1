use std::time::Duration;

/// A token bucket: so many messages a second, with a tenth of a second's worth at once.
///
/// It keeps the time at which the bucket would be full again instead of a count, so nothing rounds.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    burst: Duration,
    full_at: Duration,
}

impl Pace {
    /// `per_second`: at least 1.
    pub(crate) fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, burst: BURST.saturating_sub(interval), full_at: Duration::ZERO }
    }

    /// From when on the next message may go.
    pub(crate) fn ready_at(&self) -> Duration {
        self.full_at.saturating_sub(self.burst)
    }

    /// A message goes.
    pub(crate) fn take(&mut self, now: Duration) {
        self.full_at = self.full_at.max(now) + self.interval;
    }
}

const BURST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_a_tenth_of_a_second_and_then_the_rate_holds() {
        let mut pace = Pace::new(900);
        let mut sent = 0_u32;
        let mut at_once = 0_u32;
        let mut now = Duration::from_secs(5);
        let end = now + Duration::from_secs(10);
        while now < end {
            now = now.max(pace.ready_at());
            pace.take(now);
            sent += 1;
            at_once += u32::from(now == Duration::from_secs(5));
        }
        assert!((89..=91).contains(&at_once), "{at_once}");
        assert!((9_080..=9_092).contains(&sent), "{sent}");
    }

    #[test]
    fn one_message_a_second_is_possible() {
        let mut pace = Pace::new(1);
        pace.take(Duration::ZERO);
        assert_eq!(pace.ready_at(), Duration::from_secs(1));
    }
}
