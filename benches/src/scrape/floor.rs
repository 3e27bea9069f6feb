//! The floor: cells of each thread, added up, behind labels that are written once.

use super::{FUNCTIONS, Place, SERIES, Store};
use crate::payment::BOUNDS;
use std::cell::Cell;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

pub(super) const STORE: Store = Store { name: crate::stacks::FLOOR, start, touch, scrape };

/// The sum of durations in nanoseconds, then how many calls fell in each bucket.
type Cells = [AtomicU64; BOUNDS.len() + 2];

static ALL: Mutex<Vec<&'static [Cells]>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: Cell<Option<&'static [Cells]>> = const { Cell::new(None) };
}

/// The labels of each series.
static LABELS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let labels = |Place { function, a, b }| {
        format!("function=\"benches::f{function}\",outcome=\"ok\",a=\"v{a}\",b=\"v{b}\"")
    };
    Place::all().map(labels).collect()
});

fn start() {
    LazyLock::force(&LABELS);
}

fn touch(place: Place) {
    let started = Instant::now();
    let cells = OWN.get().unwrap_or_else(|| {
        let cells: Vec<Cells> = (0..SERIES).map(|_| [const { AtomicU64::new(0) }; _]).collect();
        let cells: &'static [Cells] = cells.leak();
        ALL.lock().unwrap_or_else(PoisonError::into_inner).push(cells);
        OWN.set(Some(cells));
        cells
    });
    let cells = &cells[place.number()];
    let passed = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let add = |cell: &AtomicU64, more| cell.store(cell.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    add(&cells[0], passed);
    // Not one of these calls takes longer than the first bound.
    add(&cells[1], 1);
}

fn scrape() -> String {
    let threads = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let bounds = BOUNDS.map(|bound| bound.to_string());
    let bounds: Vec<&str> = bounds.iter().map(String::as_str).chain(["+Inf"]).collect();
    let series: Vec<[u64; BOUNDS.len() + 2]> = (0..SERIES)
        .map(|series| {
            let sum =
                |cell: usize| threads.iter().map(|cells| cells[series][cell].load(Ordering::Relaxed)).sum();
            std::array::from_fn(sum)
        })
        .collect();
    let mut out = String::with_capacity(SERIES * 15 * 100);
    let mut digits = itoa::Buffer::new();
    for (labels, cells) in LABELS.iter().zip(&series) {
        let calls: u64 = cells[1..].iter().sum();
        for part in ["function_calls_total{", labels, "} ", digits.format(calls), "\n"] {
            out.push_str(part);
        }
    }
    for (labels, cells) in LABELS.iter().zip(&series) {
        let mut below = 0;
        for (bound, calls) in bounds.iter().zip(&cells[1..]) {
            below += calls;
            let parts = [
                "function_duration_seconds_bucket{le=\"",
                bound,
                "\",",
                labels,
                "} ",
                digits.format(below),
                "\n",
            ];
            for part in parts {
                out.push_str(part);
            }
        }
        let parts = ["function_duration_seconds_count{", labels, "} ", digits.format(below), "\n"];
        for part in parts {
            out.push_str(part);
        }
        #[allow(clippy::cast_precision_loss, reason = "short times")]
        let seconds = cells[0] as f64 / 1e9;
        // A `String` takes whatever it is given.
        let _ = writeln!(out, "function_duration_seconds_sum{{{labels}}} {seconds}");
    }
    for function in 0..FUNCTIONS {
        let _ = writeln!(out, "function_calls_in_flight{{function=\"benches::f{function}\"}} 0");
    }
    out
}
