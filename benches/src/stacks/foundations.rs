//! `foundations`: metrics with labels that are looked up at each call.

use crate::case::{Case, Running, Work};
use crate::payment::{Method, Outcome, Payment, call, pay};
use foundations::telemetry::metrics::{Counter, Histogram, HistogramBuilder};
use std::time::Instant;

pub(super) const CASES: &[Case] =
    &[Case::new(Work::Red, "foundations", || Running::new(|calls| call(calls, charge)))];

#[foundations::telemetry::metrics::metrics]
mod payments {
    /// Calls.
    pub(crate) fn calls_total(method: Method, retry: bool, outcome: Outcome) -> Counter;

    /// How long they took.
    #[ctor = HistogramBuilder {
        buckets: &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    }]
    pub(crate) fn duration_seconds(method: Method, retry: bool, outcome: Outcome) -> Histogram;
}

#[inline(never)]
fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = Instant::now();
    let payment = pay(amount);
    let (retry, outcome) = (attempt > 1, Outcome::of(&payment));
    payments::calls_total(method, retry, outcome).inc();
    payments::duration_seconds(method, retry, outcome).observe(started.elapsed().as_secs_f64());
    payment
}
