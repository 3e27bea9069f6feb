//! `prometheus-client`: the handles of all series kept in an array, which is the fastest way to use it, and
//! its families, which is the usual one. Other stacks that make only spans count with the array.

use crate::case::{Case, Running, Work};
use crate::payment::{BOUNDS, Method, Outcome, Payment, SERIES, all_series, call, pay, series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::LazyLock;
use std::time::Instant;

pub(super) const CASES: &[Case] = &[
    Case::new(Work::Red, "prometheus-client, handles in statics", || {
        LazyLock::force(&HANDLES);
        Running::new(|calls| call(calls, charge))
    }),
    Case::new(Work::Red, "prometheus-client, families", || {
        Running::new(|calls| call(calls, charge_in_family))
    }),
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: Method,
    retry: &'static str,
    outcome: Outcome,
}

impl Labels {
    fn new(method: Method, retry: bool, outcome: Outcome) -> Self {
        Self { method, retry: if retry { "true" } else { "false" }, outcome }
    }
}

static CALLS: LazyLock<Family<Labels, Counter>> = LazyLock::new(Family::default);
static DURATIONS: LazyLock<Family<Labels, Histogram>> =
    LazyLock::new(|| Family::new_with_constructor(|| Histogram::new(BOUNDS)));

struct Handles {
    calls: Counter,
    duration: Histogram,
}

static HANDLES: LazyLock<[Handles; SERIES]> = LazyLock::new(|| {
    let handles = all_series().map(|(method, retry, outcome)| {
        let labels = Labels::new(method, retry, outcome);
        Handles {
            calls: CALLS.get_or_create_owned(&labels),
            duration: DURATIONS.get_or_create_owned(&labels),
        }
    });
    let handles: Vec<Handles> = handles.collect();
    handles.try_into().unwrap_or_else(|_| unreachable!("there are so many series"))
});

/// Counts and times the body.
#[inline]
pub(super) fn counted(method: Method, attempt: u32, body: impl FnOnce() -> Payment) -> Payment {
    let started = Instant::now();
    let payment = body();
    count(started, method, attempt, &payment);
    payment
}

/// Counts a call that is over.
#[inline]
pub(super) fn count(started: Instant, method: Method, attempt: u32, payment: &Payment) {
    let handles = &HANDLES[series(method, attempt > 1, payment)];
    handles.calls.inc();
    handles.duration.observe(started.elapsed().as_secs_f64());
}

#[inline(never)]
fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
    counted(method, attempt, || pay(amount))
}

#[inline(never)]
fn charge_in_family(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = Instant::now();
    let payment = pay(amount);
    let labels = Labels::new(method, attempt > 1, Outcome::of(&payment));
    CALLS.get_or_create(&labels).inc();
    DURATIONS.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
    payment
}
