//! What an agent sends of its target's data, and how fast.

use std::time::Duration;

use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};

use super::{super::message::OUTPUT, Channel};

/// Writes data at an agent's pace. The rest is kept on average: a timer alone would round each one
/// up by half a millisecond or more, and make a busy machine's agents slower than real ones.
pub(super) struct Pen<'a> {
    channel: &'a Channel,
    next: Instant,
}

impl<'a> Pen<'a> {
    pub(super) fn new(channel: &'a Channel) -> Self {
        Self { channel, next: Instant::now() }
    }

    /// Sends one message and rests.
    pub(super) async fn write(&mut self, data: &[u8]) {
        self.channel.session.room().await;
        self.channel.send(OUTPUT, data.to_vec());
        let rest = self.channel.session.conditions.settings().rest;
        if rest.is_zero() {
            return yield_now().await;
        }
        let earliest = Instant::now().checked_sub(MADE_UP);
        self.next = earliest.map_or(self.next, |earliest| self.next.max(earliest)) + rest;
        sleep_until(self.next).await;
    }
}

/// The most that is made up for after a delay.
const MADE_UP: Duration = Duration::from_millis(20);
