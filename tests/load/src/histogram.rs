//! Latencies in logarithmic buckets: bounded memory, relative error below 1/32.

use serde::{Deserialize, Serialize};

/// Buckets per power of two.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Values up to 2^37 µs (38 hours) have a bucket of their own; larger ones share the last.
const BUCKETS: usize = 34 * STEPS as usize;

/// Counts of values in microseconds.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq)]
pub struct Percentiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, micros: u64) {
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.max = self.max.max(micros);
    }

    /// The value below or at which `share` (0 to 1) of all values lie; the upper edge of its
    /// bucket, never above the greatest value seen. 0 when empty.
    pub fn percentile(&self, share: f64) -> u64 {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(index).min(self.max);
            }
        }
        self.max
    }

    /// The usual percentiles, or `None` when nothing was recorded.
    pub fn percentiles(&self) -> Option<Percentiles> {
        (self.total > 0).then(|| Percentiles {
            p50: self.percentile(0.50),
            p90: self.percentile(0.90),
            p99: self.percentile(0.99),
            max: self.max,
        })
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    let index = u64::from(shift) * STEPS + (value >> shift);
    (index as usize).min(BUCKETS - 1)
}

fn upper_edge(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    ((index % STEPS + STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_enclose_their_values_within_a_thirty_second() {
        for value in (0..5_000).chain((0..37).map(|bits| (1u64 << bits) + 3)) {
            let edge = upper_edge(bucket(value));
            assert!(edge >= value, "{value} above its edge {edge}");
            assert!(edge - value <= value / STEPS, "{value} too far from its edge {edge}");
        }
    }

    #[test]
    fn buckets_grow_with_values() {
        let indices: Vec<usize> = (0..100_000).map(bucket).collect();
        assert!(indices.windows(2).all(|pair| pair[0] == pair[1] || pair[0] + 1 == pair[1]));
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_of_a_known_series() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentiles(), None);
        (1..=100).for_each(|value| histogram.record(value));
        let found = histogram.percentiles().unwrap();
        assert!((50..=51).contains(&found.p50), "{found:?}");
        assert!((90..=92).contains(&found.p90), "{found:?}");
        assert!((99..=100).contains(&found.p99), "{found:?}");
        assert_eq!(found.max, 100);
    }
}
