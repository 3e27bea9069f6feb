//! What a scrape reads: the cells of all threads, added up.
#![cfg(feature = "prometheus")]

use super::cells::ThreadCells;
use super::{Shape, cells, functions};
use crate::site::Site;
use std::sync::atomic::Ordering;

/// A function's numbers at one moment.
pub(crate) struct FunctionSnapshot {
    pub(crate) site: &'static Site,
    pub(crate) shape: &'static Shape,
    /// Calls that have begun and not ended.
    pub(crate) in_flight: u64,
    /// For each series, where its numbers begin; `None` where no call has ended yet.
    places: Vec<Option<usize>>,
    /// For each of those that have any, the sum of durations in ticks, then how many fell in each bucket.
    numbers: Vec<u64>,
}

/// The durations of one series.
#[derive(Clone, Copy)]
pub(crate) struct Series<'a> {
    /// Their sum in ticks.
    pub(crate) sum: u64,
    /// How many fell in each bucket, not cumulative.
    pub(crate) buckets: &'a [u64],
}

impl Series<'_> {
    /// How many calls there were.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl FunctionSnapshot {
    /// Of a function that no thread has called yet.
    pub(crate) fn new(site: &'static Site, shape: &'static Shape) -> Self {
        let places = vec![None; shape.series];
        Self { site, shape, in_flight: 0, places, numbers: Vec::new() }
    }

    /// Adds up what threads have counted.
    pub(super) fn of(site: &'static Site, shape: &'static Shape, threads: &[&'static ThreadCells]) -> Self {
        let mut function = Self::new(site, shape);
        let called: Vec<_> = threads.iter().filter_map(|thread| thread.called(shape.id)).collect();
        for cells in &called {
            cells.touched().for_each(|(series, cells)| function.add(series, cells.sum(), cells.buckets()));
        }
        // Read after the ends, so that a call that begins and ends meanwhile does not hide another. Nothing puts the two
        // in an order on every processor, though, so an end may be seen before its beginning.
        let started: u64 = called.iter().map(|cells| cells.started.load(Ordering::Relaxed)).sum();
        function.in_flight = started.saturating_sub(function.ended());
        function
    }

    /// Adds what one thread has counted in a series.
    pub(crate) fn add(&mut self, series: usize, sum: u64, buckets: impl Iterator<Item = u64>) {
        let width = self.width();
        let place = *self.places[series].get_or_insert_with(|| {
            let end = self.numbers.len();
            self.numbers.resize(end + width, 0);
            end
        });
        self.numbers[place] = self.numbers[place].wrapping_add(sum);
        for (number, more) in self.numbers[place + 1..place + width].iter_mut().zip(buckets) {
            *number += more;
        }
    }

    /// The durations of a series; `None` where no call has ended yet.
    pub(crate) fn series(&self, series: usize) -> Option<Series<'_>> {
        let (sum, buckets) = self.numbers[self.places[series]?..][..self.width()].split_first()?;
        Some(Series { sum: *sum, buckets })
    }

    /// A sum and the buckets.
    fn width(&self) -> usize {
        1 + self.shape.buckets.count()
    }

    fn ended(&self) -> u64 {
        self.numbers.chunks(self.width()).flat_map(|numbers| &numbers[1..]).sum()
    }
}

/// Adds up the cells of all threads. Callers go on counting meanwhile and are not held up.
pub(crate) fn snapshot() -> Vec<FunctionSnapshot> {
    let threads = cells::all();
    let metered = functions().iter().filter(|site| site.spec.metrics);
    metered.filter_map(|site| Some(FunctionSnapshot::of(site, site.shape()?, &threads))).collect()
}
