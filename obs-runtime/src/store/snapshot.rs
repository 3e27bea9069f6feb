//! What a scrape reads: the cells of all threads, added up.
#![cfg(feature = "prometheus")]

use super::{cells, functions};
use crate::site::Site;

/// A function's numbers at one moment.
pub(crate) struct FunctionSnapshot {
    pub(crate) site: &'static Site,
    /// Calls that have begun and not ended.
    pub(crate) in_flight: u64,
    /// One entry for each series; `None` where no call has ended yet.
    pub(crate) series: Vec<Option<Series>>,
}

/// The durations of one series.
#[derive(Clone)]
pub(crate) struct Series {
    /// Their sum in ticks.
    pub(crate) sum: u64,
    /// How many fell in each bucket, not cumulative.
    pub(crate) buckets: Vec<u64>,
}

impl Series {
    /// How many calls there were.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Adds another series of the same buckets.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
    }
}

/// Adds up the cells of all threads. Callers go on counting meanwhile and are not held up.
pub(crate) fn snapshot() -> Vec<FunctionSnapshot> {
    let threads = cells::all();
    let metered = functions().iter().filter(|site| site.spec.metrics);
    metered
        .filter_map(|site| {
            let shape = site.shape()?;
            let called: Vec<_> = threads.iter().filter_map(|thread| thread.called(shape)).collect();
            let mut series: Vec<Option<Series>> = vec![None; shape.series];
            for (place, cells) in called.iter().flat_map(|cells| cells.touched()) {
                let read = Series { sum: cells.sum(), buckets: cells.buckets().collect() };
                match &mut series[place] {
                    Some(sum) => sum.add(&read),
                    empty => *empty = Some(read),
                }
            }
            // Read after the ends, so that a call that ends meanwhile is not below zero.
            let started: u64 =
                called.iter().map(|cells| cells.started.load(std::sync::atomic::Ordering::Relaxed)).sum();
            let ended: u64 = series.iter().flatten().map(Series::count).sum();
            Some(FunctionSnapshot { site, in_flight: started.saturating_sub(ended), series })
        })
        .collect()
}
