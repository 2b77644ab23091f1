use std::time::Duration;

/// How long an acknowledgement takes, and from when on its message counts as lost.
///
/// Constants and formula are those of both original ends (`config/config.go` and `datachannel/streaming.go` of
/// aws/session-manager-plugin). Two rules are ours: repeated messages give no sample (Karn), and every
/// repetition of a message waits twice as long as the one before.
#[derive(Debug)]
pub(crate) struct Rtt {
    smoothed: Duration,
    variation: Duration,
    timeout: Duration,
    /// Not asked for yet.
    latest: Option<Duration>,
}

impl Rtt {
    pub(crate) fn new() -> Self {
        Self {
            smoothed: FIRST_RTT,
            variation: Duration::ZERO,
            timeout: FIRST_TIMEOUT,
            latest: None,
        }
    }

    /// A message that was sent once was acknowledged after `sample`.
    pub(crate) fn sample(&mut self, sample: Duration) {
        self.latest = Some(sample);
        let sample = sample.min(LONGEST_SAMPLE);
        self.variation = self.variation * 3 / 4 + self.smoothed.abs_diff(sample) / 4;
        self.smoothed = self.smoothed * 7 / 8 + sample / 8;
        let timeout = self.smoothed + (self.variation * 4).max(GRANULARITY);
        self.timeout = timeout.min(LONGEST_TIMEOUT);
    }

    /// The latest sample, once.
    pub(crate) fn take_latest(&mut self) -> Option<Duration> {
        self.latest.take()
    }

    /// How long to wait for a message's acknowledgement, after so many repetitions of it.
    pub(crate) fn timeout(&self, repetitions: u32) -> Duration {
        (self.timeout * (1 << repetitions.min(8))).min(LONGEST_BACK_OFF)
    }
}

const FIRST_RTT: Duration = Duration::from_millis(100);
const FIRST_TIMEOUT: Duration = Duration::from_millis(200);
const GRANULARITY: Duration = Duration::from_millis(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(8);
/// Longer ones say nothing about the network, and would take long to be forgotten.
const LONGEST_SAMPLE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_timeout_is_200_ms_and_the_estimate_follows_samples() {
        let mut rtt = Rtt::new();
        assert_eq!(rtt.timeout(0), Duration::from_millis(200));
        rtt.sample(Duration::from_millis(180));
        // variation 20 ms, smoothed 110 ms
        assert_eq!(rtt.timeout(0), Duration::from_millis(190));
        for _ in 0..200 {
            rtt.sample(Duration::from_millis(20));
        }
        assert!(rtt.timeout(0) < Duration::from_millis(31), "{:?}", rtt.timeout(0));
    }

    #[test]
    fn a_timeout_has_a_cap_and_doubles_with_each_repetition() {
        let mut rtt = Rtt::new();
        rtt.sample(Duration::from_hours(1));
        assert_eq!(rtt.timeout(0), Duration::from_secs(1));
        assert_eq!(rtt.timeout(1), Duration::from_secs(2));
        assert_eq!(rtt.timeout(u32::MAX), Duration::from_secs(8));
    }
}
