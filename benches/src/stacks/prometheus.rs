//! `prometheus`: vectors of metrics, with labels looked up at each call.

use crate::case::{Case, Running, Work};
use crate::payment::{BOUNDS, Method, Outcome, Payment, call, pay};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};
use std::sync::LazyLock;
use std::time::Instant;

pub(super) const CASES: &[Case] =
    &[Case::new(Work::Red, "prometheus", || Running::new(|calls| call(calls, charge)))];

const LABELS: &[&str] = &["method", "retry", "outcome"];

static CALLS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    IntCounterVec::new(Opts::new("calls_total", "Calls"), LABELS).expect("the names are valid")
});
static DURATIONS: LazyLock<HistogramVec> = LazyLock::new(|| {
    let options = HistogramOpts::new("duration_seconds", "How long they took").buckets(BOUNDS.to_vec());
    HistogramVec::new(options, LABELS).expect("the names are valid")
});

#[inline(never)]
fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = Instant::now();
    let payment = pay(amount);
    let retry = if attempt > 1 { "true" } else { "false" };
    let labels = [method.name(), retry, Outcome::of(&payment).name()];
    CALLS.with_label_values(&labels).inc();
    DURATIONS.with_label_values(&labels).observe(started.elapsed().as_secs_f64());
    payment
}
