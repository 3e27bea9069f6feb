//! `emit` for spans; for RED, handles of `prometheus-client` in statics. A span that ends is an event, which
//! an emitter takes on the calling thread; here that throws it away.

use super::futures::{poll_to_end, wait_once};
use super::prometheus_client::{count, counted};
use crate::case::{Case, Running, Work};
use crate::payment::{Details, Method, Payment, call, call_with_details, pay};
use std::hint::black_box;
use std::pin::pin;
use std::time::Instant;

const WITH_RED: &str = "emit, prometheus-client handles";

pub(super) const CASES: &[Case] = &[
    Case::new(Work::Sampled, WITH_RED, || running(|calls| outer(|| call(calls, charge)))),
    Case::new(Work::Root, WITH_RED, || running(|calls| call(calls, charge))),
    Case::new(Work::NoFields, "emit", || running(|calls| outer(|| call_with_details(calls, no_fields)))),
    Case::new(Work::Numbers, "emit", || running(|calls| outer(|| call_with_details(calls, numbers)))),
    Case::new(Work::Texts, "emit", || running(|calls| outer(|| call_with_details(calls, texts)))),
    Case::new(Work::AsyncReady, WITH_RED, || {
        running(|calls| outer(|| call(calls, |a, m, t| poll_to_end(pin!(ready(a, m, t))))))
    }),
    Case::new(Work::AsyncYield, WITH_RED, || {
        running(|calls| outer(|| call(calls, |a, m, t| poll_to_end(pin!(waiting(a, m, t))))))
    }),
    Case::new(Work::Stopped, "emit", || Running::new(|calls| call(calls, bare))),
];

fn running(calls: impl Fn(u64) + Send + Sync + 'static) -> Running {
    let emitter = emit::emitter::from_fn(|event| {
        black_box(event);
    });
    let _ = emit::setup().emit_to(emitter).init();
    Running::new(calls)
}

#[emit::span("outer")]
fn outer(calls: impl FnOnce()) {
    calls();
}

#[emit::span("charge")]
#[inline(never)]
fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
    counted(method, attempt, || pay(amount))
}

#[emit::span("charge")]
#[inline(never)]
fn no_fields(details: &Details) -> u64 {
    details.numbers[0]
}

#[emit::span(
    "charge", a: details.numbers[0], b: details.numbers[1], c: details.numbers[2], d: details.numbers[3]
)]
#[inline(never)]
fn numbers(details: &Details) -> u64 {
    details.numbers[0]
}

#[emit::span("charge", a: details.texts[0], b: details.texts[1], c: details.texts[2], d: details.texts[3])]
#[inline(never)]
fn texts(details: &Details) -> u64 {
    details.numbers[0]
}

#[emit::span("charge")]
#[inline(never)]
async fn ready(amount: u64, method: Method, attempt: u32) -> Payment {
    counted(method, attempt, || pay(amount))
}

#[emit::span("charge")]
#[inline(never)]
async fn waiting(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = Instant::now();
    wait_once().await;
    let payment = pay(amount);
    count(started, method, attempt, &payment);
    payment
}

#[emit::span("charge")]
#[inline(never)]
fn bare(amount: u64, _: Method, _: u32) -> Payment {
    pay(amount)
}
