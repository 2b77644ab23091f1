//! Histograms of durations in fixed buckets: a handful of atomics, merged when somebody looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A list of bucket bounds that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("histogram buckets must be 1 to 64 increasing numbers of seconds, each 1 ns to 1 day")]
pub struct BucketsError;

/// Upper bounds of buckets, inclusive as Prometheus' `le` is.
#[derive(Debug)]
pub(crate) struct Bounds {
    nanos: Box<[u64]>,
    seconds: Box<[f64]>,
}

impl Bounds {
    /// Bounds from seconds.
    ///
    /// Errors: [`BucketsError`], the caller's fault.
    pub(crate) fn new(seconds: &[f64]) -> Result<Self, BucketsError> {
        if !(1..=64).contains(&seconds.len()) {
            return Err(BucketsError);
        }
        let nanos = seconds.iter().map(|s| nanos_of(*s)).collect::<Result<Box<[u64]>, _>>()?;
        if !nanos.is_sorted_by(|a, b| a < b) {
            return Err(BucketsError);
        }
        Ok(Self { nanos, seconds: seconds.into() })
    }

    /// The bounds in seconds, without the last, infinite one.
    pub(crate) fn seconds(&self) -> &[f64] {
        &self.seconds
    }

    /// A cell with one count per bucket, the infinite one included.
    pub(crate) fn cell(&self) -> Cell {
        Cell {
            counts: (0..=self.nanos.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_nanos: AtomicU64::new(0),
        }
    }

    /// An empty snapshot of the right width.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { counts: vec![0; self.nanos.len() + 1], sum_nanos: 0 }
    }

    #[inline]
    fn index(&self, nanos: u64) -> usize {
        self.nanos.partition_point(|bound| *bound < nanos)
    }
}

/// One series.
#[derive(Debug)]
pub(crate) struct Cell {
    counts: Box<[AtomicU64]>,
    sum_nanos: AtomicU64,
}

impl Cell {
    /// Records from the only thread that ever writes this cell: no read-modify-write, so no lock
    /// prefix and no cache line fought over. A second writer would lose samples, nothing worse.
    #[inline]
    pub(crate) fn record_alone(&self, bounds: &Bounds, nanos: u64) {
        let Some(count) = self.counts.get(bounds.index(nanos)) else { return };
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        let sum = self.sum_nanos.load(Ordering::Relaxed).wrapping_add(nanos);
        // Release: whoever sees this sum sees the count it belongs to.
        self.sum_nanos.store(sum, Ordering::Release);
    }

    /// Records from any thread.
    pub(crate) fn record_shared(&self, bounds: &Bounds, nanos: u64) {
        let Some(count) = self.counts.get(bounds.index(nanos)) else { return };
        count.fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Release);
    }

    /// Adds what this cell holds to `snapshot`. The sum is read first: a sample caught half-way is
    /// in the count and not yet in the sum, so a mean is never above the truth.
    pub(crate) fn add_to(&self, snapshot: &mut Snapshot) {
        let sum = self.sum_nanos.load(Ordering::Acquire);
        snapshot.sum_nanos = snapshot.sum_nanos.wrapping_add(sum);
        for (total, count) in snapshot.counts.iter_mut().zip(&self.counts) {
            *total += count.load(Ordering::Relaxed);
        }
    }
}

/// What cells held at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// One count per bucket, not accumulated; the last bucket has no bound.
    pub(crate) counts: Vec<u64>,
    pub(crate) sum_nanos: u64,
}

/// A duration in nanoseconds; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn nanos_of(seconds: f64) -> Result<u64, BucketsError> {
    let bound = Duration::try_from_secs_f64(seconds).map_err(|_| BucketsError)?;
    if bound.is_zero() || bound > MAX_BOUND {
        return Err(BucketsError);
    }
    Ok(nanos(bound))
}

/// A day: no statement that is still worth timing takes longer.
const MAX_BOUND: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(bounds: &Bounds, samples: &[u64]) -> Vec<u64> {
        let cell = bounds.cell();
        for nanos in samples {
            cell.record_alone(bounds, *nanos);
        }
        let mut snapshot = bounds.snapshot();
        cell.add_to(&mut snapshot);
        snapshot.counts
    }

    #[test]
    fn a_sample_on_a_bound_belongs_to_that_bucket() {
        let bounds = Bounds::new(&[0.001, 0.01]).unwrap();
        assert_eq!(counts(&bounds, &[0, 999_999, 1_000_000]), [3, 0, 0]);
        assert_eq!(counts(&bounds, &[1_000_001, 10_000_000]), [0, 2, 0]);
        assert_eq!(counts(&bounds, &[10_000_001, u64::MAX]), [0, 0, 2]);
    }

    #[test]
    fn every_default_bound_lands_in_its_own_bucket() {
        for seconds in [crate::catalog::QUERY_BUCKETS, crate::catalog::PHASE_BUCKETS] {
            let bounds = Bounds::new(seconds).unwrap();
            for (index, bound) in bounds.nanos.iter().enumerate() {
                assert_eq!(bounds.index(*bound), index);
                assert_eq!(bounds.index(bound + 1), index + 1);
            }
        }
    }

    #[test]
    fn shared_and_single_writer_recording_agree() {
        let bounds = Bounds::new(crate::catalog::QUERY_BUCKETS).unwrap();
        let (alone, shared) = (bounds.cell(), bounds.cell());
        for nanos in (0..200_000_000_000).step_by(777_777_777) {
            alone.record_alone(&bounds, nanos);
            shared.record_shared(&bounds, nanos);
        }
        let (mut left, mut right) = (bounds.snapshot(), bounds.snapshot());
        alone.add_to(&mut left);
        shared.add_to(&mut right);
        assert_eq!(left, right);
        assert_eq!(left.counts.iter().sum::<u64>(), 258);
    }

    #[test]
    fn bounds_that_make_no_sense_are_refused() {
        let too_many: Vec<f64> = (1..=65).map(f64::from).collect();
        let refused: [&[f64]; 8] = [
            &[],
            &[1.0, 1.0],
            &[2.0, 1.0],
            &[0.0],
            &[-1.0],
            &[f64::NAN],
            &[f64::INFINITY],
            &too_many,
        ];
        for seconds in refused {
            assert_eq!(Bounds::new(seconds).unwrap_err(), BucketsError, "{seconds:?}");
        }
    }
}
