//! What is scraped of the store: the series of a snapshot, in order, those of one name and labels added up.

use super::labels::{Detail, Labels, SeriesLabels};
use crate::clock;
use crate::site::SHARED_METRIC;
use crate::store::{FunctionSnapshot, Series, Shape, functions, outcome};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Functions with at most so many label combinations have all their series from the start.
const ZEROED_COMBINATIONS: usize = 64;

/// How many series all observed functions can have.
pub(super) fn declared_series() -> usize {
    functions()
        .iter()
        .filter(|site| site.spec.metrics)
        .filter_map(|site| Some(combinations(site.shape()?) * site.spec.possible_outcomes()))
        .sum()
}

fn combinations(shape: &Shape) -> usize {
    shape.series / shape.outcomes
}

/// The functions of a snapshot by the stem of their metrics, and by name.
pub(super) fn families(snapshot: &[FunctionSnapshot]) -> BTreeMap<&'static str, Vec<Namesakes<'_>>> {
    let mut stems: BTreeMap<&str, Vec<&FunctionSnapshot>> = BTreeMap::new();
    stems.entry(SHARED_METRIC).or_default();
    for function in snapshot {
        stems.entry(function.site.spec.stem()).or_default().push(function);
    }
    let by_name = |functions: Vec<_>| {
        let namesakes =
            functions.chunk_by(|one: &&FunctionSnapshot, next| one.site.function() == next.site.function());
        namesakes.map(Namesakes::new).collect()
    };
    stems.into_iter().map(|(stem, functions)| (stem, by_name(functions))).collect()
}

/// The names of the metrics under a stem: calls, durations, and calls in flight.
pub(super) fn names(stem: &str) -> [String; 3] {
    ["calls", "duration", "calls_in_flight"].map(|name| format!("{stem}_{name}"))
}

/// The functions of one name. Where their labels are equal too, they are one series to the reader.
pub(super) struct Namesakes<'a> {
    functions: Vec<&'a FunctionSnapshot>,
    labels: Labels,
    /// In the order of their labels.
    calls: Vec<Entry>,
    durations: Vec<Entry>,
}

/// A series of one function. Those of several that have the same order are one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    order: u128,
    function: usize,
    series: usize,
}

impl<'a> Namesakes<'a> {
    fn new(functions: &[&'a FunctionSnapshot]) -> Self {
        let labels = Labels::new(functions);
        let (mut calls, mut durations) = (Vec::new(), Vec::new());
        for (place, function) in functions.iter().enumerate() {
            let entry = |series, detail| Entry {
                order: labels.of(place, series, detail).order(),
                function: place,
                series,
            };
            for series in scraped(function) {
                calls.push(entry(series, Detail::All));
                // A counter at zero is what a rate needs; an empty histogram says nothing more.
                if function.series(series).is_some() || series % function.shape.outcomes == outcome::OK {
                    durations.push(entry(series, Detail::Outcome));
                }
            }
        }
        calls.sort_unstable();
        durations.sort_unstable();
        Self { functions: functions.to_vec(), labels, calls, durations }
    }

    /// How many calls have ended.
    pub(super) fn calls(&self) -> impl Iterator<Item = (SeriesLabels<'_>, u64)> {
        by_order(&self.calls).map(|(first, same)| {
            let counts = same.iter().filter_map(|entry| self.series(entry)).map(|series| series.count());
            (self.labels.of(first.function, first.series, Detail::All), counts.sum())
        })
    }

    /// How long those took.
    pub(super) fn durations(&self) -> impl Iterator<Item = Durations<'_>> {
        by_order(&self.durations).map(|(first, same)| Durations::new(self, first, same))
    }

    /// How many have begun and not ended.
    pub(super) fn in_flight(&self) -> (SeriesLabels<'_>, u64) {
        let in_flight = self.functions.iter().map(|function| function.in_flight).sum();
        (self.labels.of(0, 0, Detail::Function), in_flight)
    }

    fn series(&self, entry: &Entry) -> Option<Series<'_>> {
        self.functions[entry.function].series(entry.series)
    }

    fn bounds(&self, entry: &Entry) -> &'static [f64] {
        self.functions[entry.function].shape.buckets.seconds
    }
}

/// Entries of the same order together, with the first of them.
fn by_order(entries: &[Entry]) -> impl Iterator<Item = (&Entry, &[Entry])> {
    entries.chunk_by(|one, next| one.order == next.order).filter_map(|same| Some((same.first()?, same)))
}

/// A histogram of durations.
pub(super) struct Durations<'a> {
    of: &'a Namesakes<'a>,
    first: &'a Entry,
    /// What it adds up, `first` included.
    same: &'a [Entry],
    /// Their sum.
    ticks: u64,
    /// One for each bound, and one for what is above the last; not cumulative.
    pub(super) buckets: Cow<'a, [u64]>,
}

impl<'a> Durations<'a> {
    fn new(of: &'a Namesakes<'_>, first: &'a Entry, same: &'a [Entry]) -> Self {
        let mut sum = Self { of, first, same, ticks: 0, buckets: Cow::Borrowed(&[]) };
        for entry in same {
            if let Some(series) = of.series(entry) {
                sum.add(series, of.bounds(entry));
            }
        }
        if sum.buckets.is_empty() {
            sum.buckets = vec![0; sum.bounds().len() + 1].into();
        }
        sum
    }

    fn add(&mut self, series: Series<'a>, bounds: &[f64]) {
        self.ticks = self.ticks.wrapping_add(series.sum);
        let buckets = rebucketed(series.buckets, bounds, self.bounds());
        if self.buckets.is_empty() {
            self.buckets = buckets;
        } else {
            let sums = self.buckets.to_mut().iter_mut();
            sums.zip(&*buckets).for_each(|(sum, more)| *sum += more);
        }
    }

    pub(super) fn labels(&self) -> SeriesLabels<'a> {
        self.of.labels.of(self.first.function, self.first.series, Detail::Outcome)
    }

    pub(super) fn bounds(&self) -> &'static [f64] {
        self.of.bounds(self.first)
    }

    /// The sum of all durations.
    pub(super) fn seconds(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a sum that is a float in the end")]
        let nanos = clock::nanos(self.ticks) as f64;
        nanos / 1e9
    }

    /// The functions and series that are in it, by their places in the store.
    #[cfg(feature = "otlp")]
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.same.iter().map(|entry| (self.of.functions[entry.function].shape.id, entry.series))
    }
}

/// The series that are scraped.
fn scraped(function: &FunctionSnapshot) -> impl Iterator<Item = usize> {
    let zeroed = combinations(function.shape) <= ZEROED_COMBINATIONS;
    (0..function.shape.series)
        .filter(move |series| function.series(*series).is_some() || zeroed && possible(function, *series))
}

/// Whether a call can end in that series at all.
fn possible(function: &FunctionSnapshot, series: usize) -> bool {
    let (spec, shape) = (&function.site.spec, function.shape);
    let (combination, outcome) = (series / shape.outcomes, series % shape.outcomes);
    let returned = outcome != shape.panic() && outcome != shape.cancelled();
    // Labels of the result are all known, or, if there was no result, none is.
    let mut digits = combination % shape.result_values;
    let labelled = spec.result_labels.iter().rev().all(|label| {
        let digit = digits % (label.cardinality + 1);
        digits /= label.cardinality + 1;
        returned == (digit < label.cardinality)
    });
    let can_fail = spec.fallible || spec.error_kinds.is_some();
    let can_end_so = match outcome {
        outcome::OK => true,
        _ if outcome == shape.panic() => true,
        _ if outcome == shape.cancelled() => spec.future,
        _ => can_fail,
    };
    labelled && can_end_so
}

/// Buckets within other bounds: each count goes to the first bucket that is sure to hold it.
fn rebucketed<'a>(buckets: &'a [u64], from: &[f64], into: &[f64]) -> Cow<'a, [u64]> {
    if from == into {
        return buckets.into();
    }
    let mut wider = vec![0; into.len() + 1];
    for (place, count) in buckets.iter().enumerate() {
        let bound = from.get(place).copied().unwrap_or(f64::INFINITY);
        wider[into.iter().take_while(|wider| **wider < bound).count()] += count;
    }
    wider.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_buckets_hold_what_they_are_sure_of() {
        let buckets = [1, 2, 3, 4];
        let wider = rebucketed(&buckets, &[0.1, 0.5, 1.0], &[0.5, 2.0]);
        assert_eq!(*wider, [3, 3, 4]);
    }
}
