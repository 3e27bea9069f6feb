//! The store as metric families: a snapshot per scrape, with every series' labels spelled out.

use crate::clock;
use crate::label::{Dimension, LabelTexts, digits, with_absent};
use crate::site::{SHARED_METRIC, Site, Slo};
use crate::store::{FunctionSnapshot, Series, Shape, functions, outcome, snapshot};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::collections::BTreeMap;
use std::fmt;

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

/// `function_calls_total`, `function_duration_seconds` and `function_calls_in_flight`, and the same
/// for each `metric = ".."`.
#[derive(Debug)]
pub(super) struct StoreCollector;

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        families().into_iter().try_for_each(|(stem, family)| family.encode(stem, &mut encoder))?;
        objectives(&mut encoder)
    }
}

/// `function_slo_objective_ratio`: what the calls of a function within that latency, in seconds, are compared with.
fn objectives(encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let objectives: BTreeMap<LabelTexts, f64> = functions()
        .iter()
        .filter_map(|site| {
            let Slo { latency_nanos, objective } = site.spec.slo?;
            #[allow(clippy::cast_precision_loss, reason = "it is a bucket's bound")]
            let latency = (latency_nanos > 0).then(|| (latency_nanos as f64 / 1e9).to_string());
            let mut labels: LabelTexts = vec![("function", site.function().into())];
            labels.extend(latency.map(|latency| ("latency", latency.into())));
            Some((labels, objective))
        })
        .collect();
    if objectives.is_empty() {
        return Ok(());
    }
    let help = "Share of calls that is to be good, and how long these take at most";
    let mut gauge =
        encoder.encode_descriptor("function_slo_objective_ratio", help, None, MetricType::Gauge)?;
    for (labels, objective) in objectives {
        ConstGauge::new(objective).encode(gauge.encode_family(&labels)?)?;
    }
    Ok(())
}

/// All observed functions at this moment, by the stem of their metrics.
pub(super) fn families() -> BTreeMap<&'static str, Family> {
    let mut families: BTreeMap<&str, Family> = BTreeMap::new();
    families.entry(SHARED_METRIC).or_default();
    for function in snapshot() {
        families.entry(function.site.spec.metric).or_default().add(&function);
    }
    families
}

/// The names of the metrics under a stem: calls, durations, and calls in flight.
pub(super) fn names(stem: &str) -> [String; 3] {
    ["calls", "duration", "calls_in_flight"].map(|name| format!("{stem}_{name}"))
}

/// What is scraped under one stem. Functions of the same name and labels are one to the reader.
#[derive(Default)]
pub(super) struct Family {
    pub(super) calls: BTreeMap<LabelTexts, u64>,
    pub(super) durations: BTreeMap<LabelTexts, Durations>,
    pub(super) in_flight: BTreeMap<LabelTexts, u64>,
}

/// A histogram of durations.
pub(super) struct Durations {
    pub(super) bounds: &'static [f64],
    pub(super) series: Series,
    /// The functions and series that it adds up, by their places in the store.
    pub(super) of: Vec<(usize, usize)>,
}

impl Durations {
    /// Their sum.
    pub(super) fn seconds(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a sum that is a float in the end")]
        let nanos = clock::nanos(self.series.sum) as f64;
        nanos / 1e9
    }
}

impl Family {
    fn add(&mut self, function: &FunctionSnapshot) {
        let site = function.site;
        let Some(shape) = site.shape() else { return };
        *self.in_flight.entry(vec![("function", site.function().into())]).or_default() += function.in_flight;
        let zeroed = combinations(shape) <= ZEROED_COMBINATIONS;
        for (place, series) in function.series.iter().enumerate() {
            let (combination, outcome) = (place / shape.outcomes, place % shape.outcomes);
            if series.is_none() && !(zeroed && possible(site, shape, combination, outcome)) {
                continue;
            }
            let (calls, duration) = labels(site, shape, place);
            *self.calls.entry(calls).or_default() += series.as_ref().map_or(0, Series::count);
            if series.is_none() && outcome != outcome::OK {
                // A counter at zero is what a rate needs; an empty histogram says nothing more.
                continue;
            }
            let bounds = shape.buckets.seconds;
            let empty = || {
                let series = Series { sum: 0, buckets: vec![0; bounds.len() + 1] };
                Durations { bounds, series, of: Vec::new() }
            };
            let durations = self.durations.entry(duration).or_insert_with(empty);
            if let Some(series) = series {
                durations.series.add(&rebucketed(series, bounds, durations.bounds));
                durations.of.push((shape.id, place));
            }
        }
    }

    fn encode(self, stem: &str, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let shared = stem == SHARED_METRIC;
        let of =
            if shared { "observed functions".to_owned() } else { format!("functions observed as {stem}") };
        let [calls_name, duration_name, in_flight_name] = names(stem);
        let help = format!("Calls of {of} by outcome");
        let mut calls = encoder.encode_descriptor(&calls_name, &help, None, MetricType::Counter)?;
        for (labels, count) in &self.calls {
            ConstCounter::new(*count).encode(calls.encode_family(labels)?)?;
        }
        let help = format!("How long calls of {of} took");
        let unit = Some(&Unit::Seconds);
        let mut durations = encoder.encode_descriptor(&duration_name, &help, unit, MetricType::Histogram)?;
        for (labels, duration) in &self.durations {
            let bounds = duration.bounds.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(duration.series.buckets.iter().copied()).collect();
            let (seconds, count) = (duration.seconds(), duration.series.count());
            durations
                .encode_family(labels)?
                .encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
        }
        let help = format!("Calls of {of} that have begun and not ended");
        let mut in_flight = encoder.encode_descriptor(&in_flight_name, &help, None, MetricType::Gauge)?;
        for (labels, count) in &self.in_flight {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(in_flight.encode_family(labels)?)?;
        }
        Ok(())
    }
}

/// Whether a call can end in that series at all.
fn possible(site: &Site, shape: &Shape, combination: usize, outcome: usize) -> bool {
    let returned = outcome != shape.panic() && outcome != shape.cancelled();
    // Labels of the result are all known, or, if there was no result, none is.
    let widened: Vec<Dimension> = site.spec.result_labels.iter().map(with_absent).collect();
    let result = digits(&widened, combination % shape.result_values);
    let known =
        result.iter().zip(site.spec.result_labels).filter(|(digit, label)| **digit < label.cardinality);
    let labelled = if returned { known.count() == result.len() } else { known.count() == 0 };
    let can_fail = site.spec.fallible || site.spec.error_kinds.is_some();
    let can_end_so = match outcome {
        outcome::OK => true,
        _ if outcome == shape.panic() => true,
        _ if outcome == shape.cancelled() => site.spec.future,
        _ => can_fail,
    };
    labelled && can_end_so
}

/// The labels of a series in the counter, and in the histogram, which does not tell errors apart.
fn labels(site: &Site, shape: &Shape, series: usize) -> (LabelTexts, LabelTexts) {
    let outcome = series % shape.outcomes;
    let (name, kind) = match outcome {
        outcome::OK => ("ok", None),
        _ if outcome == shape.panic() => ("panic", None),
        _ if outcome == shape.cancelled() => ("cancelled", None),
        _ => ("error", site.spec.error_kinds.map(|kinds| (kinds.value)(outcome - outcome::FIRST_ERROR))),
    };
    // Sorted, so that two functions of one name are one series however each orders its labels.
    let mut own = site.labels(shape, series);
    own.sort_unstable_by_key(|(name, _)| *name);
    let mut duration: LabelTexts = vec![("function", site.function().into()), ("outcome", name.into())];
    duration.append(&mut own);
    let mut calls = duration.clone();
    calls.extend(kind.filter(|kind| !kind.is_empty()).map(|kind| ("error", kind)));
    (calls, duration)
}

/// A series in other buckets: each count goes to the first bucket that is sure to hold it.
fn rebucketed(series: &Series, from: &[f64], into: &[f64]) -> Series {
    if from == into {
        return series.clone();
    }
    let mut buckets = vec![0; into.len() + 1];
    for (place, count) in series.buckets.iter().enumerate() {
        let bound = from.get(place).copied().unwrap_or(f64::INFINITY);
        buckets[into.iter().take_while(|wider| **wider < bound).count()] += count;
    }
    Series { sum: series.sum, buckets }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_buckets_hold_what_they_are_sure_of() {
        let series = Series { sum: 9, buckets: vec![1, 2, 3, 4] };
        let wider = rebucketed(&series, &[0.1, 0.5, 1.0], &[0.5, 2.0]);
        assert_eq!(wider.buckets, [3, 3, 4]);
        assert_eq!(wider.count(), series.count());
    }
}
