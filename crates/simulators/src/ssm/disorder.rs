//! Frames that get lost, come twice or change places.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// How often a frame meets each fault, as chances between 0 and 1. Receipts meet them as data do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Disorder {
    /// It is lost.
    pub lose: f64,
    /// It comes twice.
    pub duplicate: f64,
    /// It comes behind the one after it.
    pub reorder: f64,
}

/// One direction of one session. The same frames meet the same faults in every run.
#[derive(Debug)]
pub(super) struct Lane<T> {
    chance: StdRng,
    behind: Option<T>,
}

impl<T: Clone> Lane<T> {
    pub(super) fn new(seed: u64) -> Self {
        Self { chance: StdRng::seed_from_u64(seed), behind: None }
    }

    /// What comes out when `frame` goes in.
    pub(super) fn pass(&mut self, frame: T, disorder: Disorder) -> Vec<T> {
        let mut out = Vec::new();
        if self.meets(disorder.lose) {
            return out;
        }
        if self.behind.is_none() && self.meets(disorder.reorder) {
            self.behind = Some(frame);
            return out;
        }
        if self.meets(disorder.duplicate) {
            out.push(frame.clone());
        }
        out.push(frame);
        out.extend(self.behind.take());
        out
    }

    fn meets(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.chance.random_bool(chance.min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_disorder_everything_passes() {
        let mut lane = Lane::new(1);
        let passed: Vec<_> = (0..9).flat_map(|it| lane.pass(it, Disorder::default())).collect();
        assert_eq!(passed, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn each_fault_does_what_it_is_called() {
        let pass = |disorder| {
            let mut lane = Lane::new(1);
            (0..4).flat_map(|it| lane.pass(it, disorder)).collect::<Vec<_>>()
        };
        assert!(pass(Disorder { lose: 1.0, ..Disorder::default() }).is_empty());
        let doubled = pass(Disorder { duplicate: 1.0, ..Disorder::default() });
        assert_eq!(doubled, [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(pass(Disorder { reorder: 1.0, ..Disorder::default() }), [1, 0, 3, 2]);
    }
}
