//! Medians and quartiles. Never the best of several.

/// Median and quartiles of some figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
    pub(crate) count: usize,
}

impl Spread {
    /// Nothing is known of no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().filter(|f| f.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let last = sorted.len().saturating_sub(1);
            sorted.get(last * share / 4).copied().unwrap_or(f64::NAN)
        };
        Self { lower: at(1), median: at(2), upper: at(3), count: sorted.len() }
    }

    /// The quantity on another scale.
    pub(crate) fn map(self, scale: impl Fn(f64) -> f64) -> Self {
        let (a, b) = (scale(self.lower), scale(self.upper));
        Self { lower: a.min(b), median: scale(self.median), upper: a.max(b), count: self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_moves_neither_median_nor_quartiles() {
        let spread = Spread::of([3.0, 1.0, 2.0, 4.0, 1000.0]);
        assert_eq!((spread.lower, spread.median, spread.upper), (2.0, 3.0, 4.0));
        let inverse = spread.map(|value| 12.0 / value);
        assert_eq!((inverse.lower, inverse.median, inverse.upper), (3.0, 4.0, 6.0));
    }
}
