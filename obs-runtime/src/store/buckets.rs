//! Histogram bounds in ticks, and the bucket of a duration.

use crate::clock;

/// The buckets of a duration histogram: one for each bound, and one above the last.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// Upper bounds in seconds, ascending.
    pub(crate) seconds: &'static [f64],
    ticks: Box<[u64]>,
    /// The lowest of them.
    lowest: u64,
    /// For each number of significant bits, less one, the first bucket that a number of that length can be in.
    first: [u8; 64],
}

impl Buckets {
    pub(crate) fn new(seconds: &'static [f64]) -> Self {
        Self::in_ticks(seconds, seconds.iter().map(|bound| clock::ticks(bound * 1e9)).collect())
    }

    fn in_ticks(seconds: &'static [f64], ticks: Box<[u64]>) -> Self {
        let mut first = [0; 64];
        for (bits, first) in first.iter_mut().enumerate() {
            // The shortest, of one bit, are 0 and 1.
            let smallest = if bits == 0 { 0 } else { 1_u64 << bits };
            let bucket = ticks.iter().take_while(|bound| **bound < smallest).count();
            *first = u8::try_from(bucket).unwrap_or(u8::MAX);
        }
        let lowest = ticks.first().copied().unwrap_or(u64::MAX);
        Self { seconds, ticks, lowest, first }
    }

    /// How many buckets there are, the one above the last bound included.
    pub(crate) fn count(&self) -> usize {
        self.ticks.len() + 1
    }

    /// Whether a duration is in the first bucket, as those of most calls are.
    #[inline]
    pub(crate) fn is_lowest(&self, ticks: u64) -> bool {
        ticks <= self.lowest
    }

    /// The bucket of a duration: the first whose bound is not below it.
    pub(crate) fn of(&self, ticks: u64) -> usize {
        let mut bucket = usize::from(self.first[(ticks | 1).ilog2() as usize]);
        while self.ticks.get(bucket).is_some_and(|bound| *bound < ticks) {
            bucket += 1;
        }
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_bound_is_not_below_it() {
        let bounds = [1_u64, 5, 6, 7, 100, 1 << 40];
        let buckets = Buckets::in_ticks(&[], bounds.into());
        let mut tried: Vec<u64> = bounds.iter().flat_map(|b| [b - 1, *b, b + 1]).collect();
        tried.extend([0, 3, 50, u64::MAX]);
        for ticks in tried {
            let expected = bounds.iter().position(|bound| ticks <= *bound).unwrap_or(bounds.len());
            assert_eq!(buckets.of(ticks), expected, "{ticks}");
            assert_eq!(buckets.is_lowest(ticks), expected == 0, "{ticks}");
        }
    }
}
