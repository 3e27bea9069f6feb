//! Exemplars: for each bucket of each series, the last sampled call that fell in it. Noted where finished
//! spans are collected, so the calls themselves do nothing for it.

use crate::trace::{Finished, TraceContext};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A call that stands for the others of its bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exemplar {
    pub(super) trace: TraceContext,
    pub(super) seconds: f64,
    pub(super) unix_nanos: u64,
}

/// By the function's place in the store, its series, and the bucket.
type Key = (usize, usize, usize);

static WANTED: AtomicBool = AtomicBool::new(false);
static EXEMPLARS: Mutex<BTreeMap<Key, Exemplar>> = Mutex::new(BTreeMap::new());

fn exemplars() -> MutexGuard<'static, BTreeMap<Key, Exemplar>> {
    EXEMPLARS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes exemplars from now on.
pub(super) fn start() {
    WANTED.store(true, Ordering::Relaxed);
}

/// Notes the call that a span belongs to.
pub(super) fn note(span: &Finished, unix_nanos: u64) {
    if !WANTED.load(Ordering::Relaxed) {
        return;
    }
    let Some((shape, series)) = span.call.and_then(|(site, series)| Some((site.shape()?, series))) else {
        return;
    };
    let ticks = span.ended.saturating_sub(span.started);
    #[allow(clippy::cast_precision_loss, reason = "a duration in nanoseconds is exact for months")]
    let seconds = crate::clock::nanos(ticks) as f64 / 1e9;
    let exemplar = Exemplar { trace: span.trace, seconds, unix_nanos };
    let key = (shape.id, series, shape.buckets.of(ticks));
    exemplars().insert(key, exemplar);
}

/// The exemplars of a series, by bucket.
pub(super) fn of(function: usize, series: usize) -> Vec<Exemplar> {
    let exemplars = exemplars();
    let buckets = exemplars.range((function, series, 0)..=(function, series, usize::MAX));
    buckets.map(|(_, exemplar)| *exemplar).collect()
}
