//! This project, with its real features on: log filter at `info`, an exporter of spans, a writer of lines.

use super::futures::{poll_to_end, wait_once};
use super::lines::{self, CountingSink, REQUEST_ID, USER_ID, log};
use super::spans::{CountingExporter, exported};
use crate::case::{Case, Running, Work};
use crate::payment::{Details, Method, Payment, PaymentError, call, call_with_details, pay};
use obs_runtime::{Sampler, observe};
use std::hint::black_box;
use std::pin::pin;
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

const OURS: &str = super::OURS;

pub(super) const CASES: &[Case] = &[
    Case::beside(Work::Red, OURS, || {
        start(Sampler::ParentBasedAlwaysOn);
        Running::new(|calls| call(calls, red))
    }),
    Case::beside(Work::Sampled, OURS, || sampled(|calls| outer(|| call(calls, charge)))),
    Case::beside(Work::Root, OURS, || sampled(|calls| call(calls, charge))),
    Case::beside(Work::Unsampled, OURS, || {
        start(Sampler::ParentBasedAlwaysOff);
        Running::new(|calls| outer(|| call(calls, charge)))
    }),
    Case::beside(Work::NoFields, OURS, || sampled(|calls| outer(|| call_with_details(calls, no_fields)))),
    Case::beside(Work::Numbers, OURS, || sampled(|calls| outer(|| call_with_details(calls, numbers)))),
    Case::beside(Work::Texts, OURS, || sampled(|calls| outer(|| call_with_details(calls, texts)))),
    Case::beside(Work::Line, OURS, || {
        // Nobody else's line is an event of an exported span as well.
        start_lines();
        Running::new(|calls| request(REQUEST_ID, USER_ID, || log(calls, line))).arriving(|| {
            obs_runtime::flush(DEADLINE);
            lines::counted()
        })
    }),
    Case::beside(Work::AsyncReady, OURS, || {
        sampled(|calls| outer(|| call(calls, |a, m, t| poll_to_end(pin!(ready(a, m, t))))))
    }),
    Case::beside(Work::AsyncYield, OURS, || {
        sampled(|calls| outer(|| call(calls, |a, m, t| poll_to_end(pin!(waiting(a, m, t))))))
    }),
    Case::beside(Work::Disabled, OURS, || {
        start(Sampler::ParentBasedAlwaysOn);
        Running::new(|calls| call(calls, |amount, _, _| Ok(below_the_level(amount))))
    }),
    Case::beside(Work::Stopped, OURS, || Running::new(|calls| call(calls, bare))),
    Case::beside(Work::StoppedLabels, OURS, || Running::new(|calls| call(calls, charge))),
    Case::beside(Work::Layer, OURS, || {
        tracing_subscriber::registry().with(LevelFilter::INFO).with(obs_runtime::layer()).init();
        exported_calls(start_in_stack, |calls| outer(|| call(calls, bare)))
    }),
];

const DEADLINE: Duration = Duration::from_secs(10);

/// Starts the runtime, which goes on to the end of the process.
fn start(sampler: Sampler) {
    let started = obs_runtime::builder()
        .log_filter("info")
        .log_output(CountingSink)
        .no_admin()
        .sampler(sampler)
        .span_exporter(CountingExporter)
        .init();
    std::mem::forget(started.expect("nothing else has been started in this process"));
}

/// The same without an exporter.
fn start_lines() {
    let started = obs_runtime::builder().log_filter("info").log_output(CountingSink).no_admin().init();
    std::mem::forget(started.expect("nothing else has been started in this process"));
}

/// The same in a stack that others have installed.
fn start_in_stack() {
    let started = obs_runtime::builder().log_filter("info").no_admin().span_exporter(CountingExporter).init();
    std::mem::forget(started.expect("the layer is there"));
}

fn sampled(calls: impl Fn(u64) + Send + Sync + 'static) -> Running {
    exported_calls(|| start(Sampler::ParentBasedAlwaysOn), calls)
}

fn exported_calls(start: impl FnOnce(), calls: impl Fn(u64) + Send + Sync + 'static) -> Running {
    start();
    Running::new(calls).arriving(|| {
        obs_runtime::flush(DEADLINE);
        exported()
    })
}

/// The span that others are below.
#[observe(no_log)]
fn outer(calls: impl FnOnce()) {
    calls();
}

#[observe(labels(method, retry: bool = attempt > 1), err(kind = PaymentError), no_span, no_log)]
#[inline(never)]
fn red(amount: u64, method: Method, attempt: u32) -> Payment {
    pay(amount)
}

#[observe(labels(method, retry: bool = attempt > 1), err(kind = PaymentError))]
#[inline(never)]
fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
    pay(amount)
}

#[observe(name = "bench::charge")]
#[inline(never)]
fn no_fields(details: &Details) -> u64 {
    details.numbers[0]
}

#[observe(name = "bench::charge", fields(
    a = details.numbers[0], b = details.numbers[1], c = details.numbers[2], d = details.numbers[3],
))]
#[inline(never)]
fn numbers(details: &Details) -> u64 {
    details.numbers[0]
}

#[observe(name = "bench::charge", fields(
    a = details.texts[0], b = details.texts[1], c = details.texts[2], d = details.texts[3],
))]
#[inline(never)]
fn texts(details: &Details) -> u64 {
    details.numbers[0]
}

#[observe(fields(request_id, user_id), no_log)]
fn request(request_id: &str, user_id: u64, calls: impl FnOnce()) {
    calls();
}

#[inline(never)]
fn line(order: &str, amount: u64, attempt: u32) {
    tracing::info!(order, amount, attempt, "asking the bank");
}

#[observe(name = "bench::charge", labels(method, retry: bool = attempt > 1), err(kind = PaymentError))]
#[inline(never)]
async fn ready(amount: u64, method: Method, attempt: u32) -> Payment {
    pay(black_box(amount))
}

#[observe(name = "bench::charge", labels(method, retry: bool = attempt > 1), err(kind = PaymentError))]
#[inline(never)]
async fn waiting(amount: u64, method: Method, attempt: u32) -> Payment {
    wait_once().await;
    pay(amount)
}

#[observe(level = "trace", no_metrics)]
#[inline(never)]
fn below_the_level(amount: u64) -> u64 {
    amount + 1
}

#[observe(name = "bench::charge")]
#[inline(never)]
fn bare(amount: u64, _: Method, _: u32) -> Payment {
    pay(amount)
}
