/// What a channel has carried, and what it had to carry twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes of stream messages sent for the first time.
    pub sent_bytes: u64,
    /// Bytes of stream messages received for the first time.
    pub received_bytes: u64,
    /// Stream messages sent again.
    pub repeated: u64,
    /// Stream messages that came again although they were there already.
    pub copies: u64,
}

impl Tally {
    /// What was added since an earlier moment of the same channel.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            sent_bytes: self.sent_bytes.saturating_sub(earlier.sent_bytes),
            received_bytes: self.received_bytes.saturating_sub(earlier.received_bytes),
            repeated: self.repeated.saturating_sub(earlier.repeated),
            copies: self.copies.saturating_sub(earlier.copies),
        }
    }
}
