//! A histogram of microseconds, with buckets about 1.5 % wide.

use std::time::Duration;

const STEPS: u64 = 64;
const BUCKETS: usize = 2048;

/// A histogram of microseconds.
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            max: 0,
        }
    }

    pub(crate) fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.max = self.max.max(micros);
    }

    /// Adds the values of another histogram.
    pub(crate) fn add(&mut self, other: &Self) {
        for (bucket, events) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += events;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    pub(crate) fn max_ms(&self) -> f64 {
        self.max as f64 / 1000.0
    }

    /// Returns the percentile `share`, in milliseconds.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let wanted = self.count as f64 * share;
        let mut seen = 0;
        for (index, &events) in self.buckets.iter().enumerate() {
            seen += events;
            if events > 0 && seen as f64 >= wanted {
                return middle(index as u64) / 1000.0;
            }
        }
        self.max_ms()
    }
}

/// Exact to 128 µs, then 64 steps to every doubling.
fn bucket(micros: u64) -> usize {
    if micros < 2 * STEPS {
        return usize::try_from(micros).expect("below 128");
    }
    let shift = u64::from(micros.ilog2()) - u64::from(STEPS.ilog2());
    let index = shift * STEPS + (micros >> shift);
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

fn middle(index: u64) -> f64 {
    if index < 2 * STEPS {
        return index as f64;
    }
    let shift = index / STEPS - 1;
    let low = (index - shift * STEPS) << shift;
    low as f64 + (1_u64 << shift) as f64 / 2.0
}
