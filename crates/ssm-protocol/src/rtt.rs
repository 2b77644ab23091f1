use std::time::Duration;

/// How long an acknowledgement takes, and from when on its message counts as lost.
///
/// Constants and formula are those of both original ends (`config/config.go` and `datachannel/streaming.go` of
/// aws/session-manager-plugin). Ours are the longer limit and TCP's rules for what outlasts the timeout (RFC 6298, 3 and
/// 5.5 to 5.7): repeated messages give no sample (Karn), every repetition of a message waits twice as long as the one
/// before, and new messages begin with the longer wait until one that was sent once has been acknowledged. Without the
/// last rule a way that is slower than the first timeout would never be measured.
#[derive(Debug)]
pub(crate) struct Rtt {
    smoothed: Duration,
    variation: Duration,
    timeout: Duration,
    /// How often the timeout is doubled for a new message.
    back_off: u32,
    /// Not asked for yet.
    latest: Option<Duration>,
}

impl Rtt {
    pub(crate) fn new() -> Self {
        Self {
            smoothed: FIRST_RTT,
            variation: Duration::ZERO,
            timeout: FIRST_TIMEOUT,
            back_off: 0,
            latest: None,
        }
    }

    /// A message that was sent once was acknowledged after `sample`.
    pub(crate) fn sample(&mut self, sample: Duration) {
        self.latest = Some(sample);
        if sample > LONGEST_SAMPLE {
            return;
        }
        self.back_off = 0;
        self.variation = self.variation * 3 / 4 + self.smoothed.abs_diff(sample) / 4;
        self.smoothed = self.smoothed * 7 / 8 + sample / 8;
        let timeout = self.smoothed + (self.variation * 4).max(GRANULARITY);
        self.timeout = timeout.min(LONGEST_TIMEOUT);
    }

    /// The latest sample, once.
    pub(crate) fn take_latest(&mut self) -> Option<Duration> {
        self.latest.take()
    }

    /// A message has waited in vain with a timeout that was doubled so often less one.
    pub(crate) fn expired(&mut self, doubled: u32) {
        self.back_off = self.back_off.max(doubled);
    }

    /// On a new connection the waits of the one before mean nothing.
    pub(crate) fn begin_anew(&mut self) {
        self.back_off = 0;
    }

    /// How often the timeout of a new message is doubled.
    pub(crate) fn back_off(&self) -> u32 {
        self.back_off
    }

    /// How long to wait for a message's acknowledgement, with the timeout doubled so often.
    pub(crate) fn timeout(&self, doubled: u32) -> Duration {
        (self.timeout * (1 << doubled.min(8))).min(LONGEST_TIMEOUT)
    }
}

const FIRST_RTT: Duration = Duration::from_millis(100);
const FIRST_TIMEOUT: Duration = Duration::from_millis(200);
const GRANULARITY: Duration = Duration::from_millis(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(8);
/// Longer ones tell of a database that did not read, not of the network, and would take long to be forgotten.
const LONGEST_SAMPLE: Duration = Duration::from_secs(5);

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
        for _ in 0..100 {
            rtt.sample(Duration::from_secs(3));
        }
        assert!(rtt.timeout(0) >= Duration::from_secs(3), "{:?}", rtt.timeout(0));
        assert!(rtt.timeout(0) < Duration::from_millis(3100), "{:?}", rtt.timeout(0));
        assert_eq!(rtt.timeout(1), rtt.timeout(0) * 2);
        assert_eq!(rtt.timeout(2), Duration::from_secs(8));
        assert_eq!(rtt.timeout(u32::MAX), Duration::from_secs(8));
    }

    #[test]
    fn what_outlasts_the_timeout_makes_new_messages_wait_longer_until_there_is_a_sample() {
        let mut rtt = Rtt::new();
        rtt.expired(2);
        rtt.expired(1);
        assert_eq!(rtt.back_off(), 2);
        rtt.sample(Duration::from_millis(100));
        assert_eq!(rtt.back_off(), 0);
        rtt.expired(3);
        rtt.begin_anew();
        assert_eq!(rtt.back_off(), 0);
    }

    #[test]
    fn a_receipt_that_took_longer_than_any_network_is_told_and_not_learnt_from() {
        let mut rtt = Rtt::new();
        rtt.sample(Duration::from_hours(1));
        assert_eq!(rtt.timeout(0), Duration::from_millis(200));
        assert_eq!(rtt.take_latest(), Some(Duration::from_hours(1)));
    }
}
