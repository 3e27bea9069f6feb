//! The store: every observed call counted, in cells of the calling thread.
//!
//! Labels have a known number of combinations, so a series is an index, not a hash. A thread is the
//! only writer of its cells and uses plain relaxed loads and stores; a scrape adds the cells of all
//! threads up. Cells outlive their thread and are handed to the next new one, so nothing is lost and
//! thousands of short threads take no more memory than the most that lived at once.

mod buckets;
mod cells;
#[cfg(all(test, obs_loom, feature = "prometheus"))]
mod models;
mod snapshot;

pub(crate) use buckets::Buckets;
pub(crate) use cells::{FunctionCells, Ready, ThreadCells, finished, release, started};
#[cfg(feature = "prometheus")]
pub(crate) use snapshot::{FunctionSnapshot, Series, snapshot};

use crate::label::Dimension;
use crate::site::{SITES, Site};
use std::collections::HashMap;
use std::sync::OnceLock;

/// Where a function's series lie in the store.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The function's place in each thread's table.
    pub(crate) id: usize,
    /// How many values the result's labels have together, each with one more for "not known".
    pub(crate) result_values: usize,
    /// How many outcomes each combination of labels has.
    pub(crate) outcomes: usize,
    /// How many series there are in all.
    pub(crate) series: usize,
    pub(crate) buckets: &'static Buckets,
    /// The `slow` limit in ticks.
    pub(crate) slow_ticks: u64,
}

/// The outcomes of a call in the order of their series.
pub(crate) mod outcome {
    /// It returned.
    pub(crate) const OK: usize = 0;
    /// It failed in the first of the declared ways; the others follow.
    pub(crate) const FIRST_ERROR: usize = 1;
}

impl Shape {
    /// The place of the outcome `panic`.
    pub(crate) fn panic(&self) -> usize {
        self.outcomes - 2
    }

    /// The place of the outcome `cancelled`.
    pub(crate) fn cancelled(&self) -> usize {
        self.outcomes - 1
    }

    /// The place of an error of that kind. A label that breaks its own bound counts as the last kind.
    pub(crate) fn error(&self, kind: usize) -> usize {
        (outcome::FIRST_ERROR + kind).min(self.panic() - 1)
    }
}

/// Every observed function, with its place in the store. The first call makes the places.
pub(crate) fn functions() -> &'static [&'static Site] {
    static FUNCTIONS: OnceLock<Vec<&'static Site>> = OnceLock::new();
    FUNCTIONS.get_or_init(|| {
        let mut sites: Vec<&'static Site> = SITES.iter().collect();
        #[cfg(feature = "http")]
        sites.extend(crate::http::sites());
        sites.sort_by_key(|site| (site.function(), site.metadata.file(), site.metadata.line()));
        let mut shared = HashMap::new();
        for (id, site) in sites.iter().enumerate() {
            site.place(shape(id, site, &mut shared));
        }
        sites
    })
}

/// Functions with the same bounds share one set of buckets.
pub(crate) type SharedBuckets = HashMap<Vec<u64>, &'static Buckets>;

/// The place of a function, which is the `id`th.
pub(crate) fn shape(id: usize, site: &Site, shared: &mut SharedBuckets) -> Shape {
    let spec = &site.spec;
    let values = |labels: &[Dimension], absent: usize| {
        labels.iter().fold(1, |product: usize, label| product.saturating_mul(label.cardinality + absent))
    };
    let outcomes = spec.outcomes();
    let result_values = values(spec.result_labels, 1);
    let key: Vec<u64> = spec.bounds().iter().map(|bound| bound.to_bits()).collect();
    let buckets = *shared.entry(key).or_insert_with(|| Box::leak(Box::new(Buckets::new(spec.bounds()))));
    #[allow(clippy::cast_precision_loss, reason = "a limit need not be exact to the nanosecond")]
    let slow_ticks =
        if spec.slow_nanos == u64::MAX { u64::MAX } else { crate::clock::ticks(spec.slow_nanos as f64) };
    Shape {
        id,
        result_values,
        outcomes,
        series: values(spec.labels, 0).saturating_mul(result_values).saturating_mul(outcomes),
        buckets,
        slow_ticks,
    }
}
