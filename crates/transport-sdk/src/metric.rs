//! A metric registered with the host.

use std::fmt;

use crate::Host;

/// A metric of this instance. Cheap to clone; recording costs one call.
#[derive(Clone)]
pub struct Metric {
    id: u64,
    host: Host,
}

impl Metric {
    pub(crate) const fn new(id: u64, host: Host) -> Self {
        Self { id, host }
    }

    /// Effect: adds to a counter, sets a gauge, observes one value of a histogram. Does nothing for a
    /// metric the host refused (too many label sets; the log says so).
    pub fn record(&self, value: f64) {
        if self.id != 0 {
            self.host.border().metric_record(self.id, value);
        }
    }

    /// Effect: records 1.
    pub fn increment(&self) {
        self.record(1.0);
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metric").field(&self.id).finish()
    }
}
