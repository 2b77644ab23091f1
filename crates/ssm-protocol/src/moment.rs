use std::time::Duration;

/// Now, as the caller's clocks say. Both are needed: deadlines must not jump, and messages carry a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since any fixed point in the past, and never going back.
    pub monotonic: Duration,
    /// Milliseconds since 1970. Zero is not valid on the wire and is sent as 1.
    pub unix_millis: u64,
}
