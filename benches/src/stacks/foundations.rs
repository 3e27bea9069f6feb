//! `foundations`: metrics whose labels are looked up at each call, and its new kind whose labels have values
//! that are known to the compiler.

use crate::case::{Case, Running, Work};
use crate::payment::{BOUNDS, Method, Outcome, Payment, call, pay};
use foundations::telemetry::metrics::{Counter, Histogram, HistogramBuilder, LowCardinalityLabel, metrics};
use std::time::Instant;

pub(super) const CASES: &[Case] = &[
    Case::new(Work::Red, "foundations", || Running::new(|calls| call(calls, charge))),
    Case::new(Work::Red, "foundations, `low_cardinality`", || {
        Running::new(|calls| call(calls, charge_low_cardinality))
    }),
];

#[metrics]
mod payments {
    /// Calls.
    pub(crate) fn calls_total(method: Method, retry: bool, outcome: Outcome) -> Counter;

    /// How long they took.
    #[ctor = HistogramBuilder { buckets: &BOUNDS }]
    pub(crate) fn duration_seconds(method: Method, retry: bool, outcome: Outcome) -> Histogram;
}

#[derive(Clone, Copy, PartialEq, serde::Serialize, LowCardinalityLabel)]
enum Retry {
    False,
    True,
}

#[metrics]
mod known_payments {
    /// Calls.
    #[low_cardinality]
    pub(crate) fn calls_total(method: Method, retry: Retry, outcome: Outcome) -> Counter;

    /// How long they took.
    #[low_cardinality]
    #[ctor = HistogramBuilder { buckets: &BOUNDS }]
    pub(crate) fn duration_seconds(method: Method, retry: Retry, outcome: Outcome) -> Histogram;
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

#[inline(never)]
fn charge_low_cardinality(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = Instant::now();
    let payment = pay(amount);
    let (retry, outcome) = (if attempt > 1 { Retry::True } else { Retry::False }, Outcome::of(&payment));
    known_payments::calls_total(method, retry, outcome).inc();
    known_payments::duration_seconds(method, retry, outcome).observe(started.elapsed().as_secs_f64());
    payment
}
