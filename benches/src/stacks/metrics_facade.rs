//! `metrics` with the recorder of `metrics-exporter-prometheus`: its macros at each call, which is the usual
//! way, and handles that are kept.

use crate::case::{Case, Running, Work};
use crate::payment::{BOUNDS, Method, Outcome, Payment, SERIES, all_series, call, pay, series};
use metrics::{Counter, Histogram, counter, histogram};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::sync::LazyLock;
use std::time::Instant;

pub(super) const CASES: &[Case] = &[
    Case::new(Work::Red, "metrics, metrics-exporter-prometheus", || {
        install();
        Running::new(|calls| call(calls, charge))
    }),
    Case::new(Work::Red, "metrics, handles in statics", || {
        install();
        LazyLock::force(&HANDLES);
        Running::new(|calls| call(calls, charge_with_handles))
    }),
    Case::new(Work::StoppedLabels, "metrics", || Running::new(|calls| call(calls, charge))),
];

fn install() {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS).expect("there are bounds");
    builder.install_recorder().expect("nothing else has been installed in this process");
}

fn text(retry: bool) -> &'static str {
    if retry { "true" } else { "false" }
}

#[inline(never)]
fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = Instant::now();
    let payment = pay(amount);
    let (method, retry, outcome) = (method.name(), text(attempt > 1), Outcome::of(&payment).name());
    counter!("calls_total", "method" => method, "retry" => retry, "outcome" => outcome).increment(1);
    histogram!("duration_seconds", "method" => method, "retry" => retry, "outcome" => outcome)
        .record(started.elapsed().as_secs_f64());
    payment
}

static HANDLES: LazyLock<[(Counter, Histogram); SERIES]> = LazyLock::new(|| {
    let handles = all_series().map(|(method, retry, outcome)| {
        let (method, retry, outcome) = (method.name(), text(retry), outcome.name());
        (
            counter!("calls_total", "method" => method, "retry" => retry, "outcome" => outcome),
            histogram!("duration_seconds", "method" => method, "retry" => retry, "outcome" => outcome),
        )
    });
    let handles: Vec<_> = handles.collect();
    handles.try_into().unwrap_or_else(|_| unreachable!("there are so many series"))
});

#[inline(never)]
fn charge_with_handles(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = Instant::now();
    let payment = pay(amount);
    let (calls, duration) = &HANDLES[series(method, attempt > 1, &payment)];
    calls.increment(1);
    duration.record(started.elapsed().as_secs_f64());
    payment
}
