use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

/// Identities of messages, drawn from one random seed: this crate has no randomness of its own.
///
/// They name messages in logs of both sides. Nothing rests on their secrecy, nor does any peer match by them.
#[derive(Clone, Debug)]
pub(crate) struct MessageIds {
    seed: Uuid,
    drawn: u64,
}

impl MessageIds {
    /// `seed`: random, and another one for every session.
    pub(crate) fn new(seed: Uuid) -> Self {
        Self { seed, drawn: 0 }
    }

    /// One that this session has not used yet.
    pub(crate) fn draw(&mut self) -> Uuid {
        let mut hash = Sha256::new();
        hash.update(self.seed.as_bytes());
        hash.update(self.drawn.to_be_bytes());
        self.drawn = self.drawn.wrapping_add(1);
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Builder::from_random_bytes(bytes).into_uuid()
    }
}
