//! `fastrace` for spans; for RED, which it has not, handles of `prometheus-client` in statics.

use super::futures::{poll_to_end, wait_once};
use super::prometheus_client::{count, counted};
use super::spans;
use crate::case::{Case, Running, Work};
use crate::payment::{Details, Method, Payment, call, call_with_details, pay};
use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use fastrace::local::LocalSpan;
use fastrace::{Span, trace};
use std::pin::pin;
use std::time::Instant;

const WITH_RED: &str = "fastrace, prometheus-client handles";

pub(super) const CASES: &[Case] = &[
    Case::new(Work::Sampled, WITH_RED, || running(|calls| below_another(true, || call(calls, charge)))),
    Case::new(Work::Root, WITH_RED, || running(|calls| call(calls, root))),
    Case::new(Work::Unsampled, WITH_RED, || {
        start();
        Running::new(|calls| below_another(false, || call(calls, charge)))
    }),
    Case::new(Work::NoFields, "fastrace", || {
        running(|calls| below_another(true, || call_with_details(calls, no_fields)))
    }),
    Case::new(Work::Numbers, "fastrace", || {
        running(|calls| below_another(true, || call_with_details(calls, numbers)))
    }),
    Case::new(Work::Texts, "fastrace", || {
        running(|calls| below_another(true, || call_with_details(calls, texts)))
    }),
    Case::new(Work::AsyncReady, WITH_RED, || {
        running(|calls| below_another(true, || call(calls, |a, m, t| poll_to_end(pin!(ready(a, m, t))))))
    }),
    Case::new(Work::AsyncYield, WITH_RED, || {
        running(|calls| below_another(true, || call(calls, |a, m, t| poll_to_end(pin!(waiting(a, m, t))))))
    }),
    Case::new(Work::Stopped, "fastrace", || Running::new(|calls| call(calls, bare))),
];

struct Counting;

impl Reporter for Counting {
    fn report(&mut self, records: Vec<SpanRecord>) {
        spans::count(records.iter().filter(|record| record.name.ends_with("charge")).count());
    }
}

fn start() {
    fastrace::set_reporter(Counting, Config::default());
}

fn running(calls: impl Fn(u64) + Send + Sync + 'static) -> Running {
    start();
    Running::new(calls).arriving(|| {
        fastrace::flush();
        spans::exported()
    })
}

/// Makes the calls inside a span.
fn below_another(sampled: bool, calls: impl FnOnce()) {
    let root = Span::root("outer", SpanContext::random().sampled(sampled));
    let _inside = root.set_local_parent();
    calls();
}

#[trace(name = "charge")]
#[inline(never)]
fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
    counted(method, attempt, || pay(amount))
}

#[inline(never)]
fn root(amount: u64, method: Method, attempt: u32) -> Payment {
    let root = Span::root("charge", SpanContext::random());
    let _inside = root.set_local_parent();
    counted(method, attempt, || pay(amount))
}

#[trace(name = "charge")]
#[inline(never)]
fn no_fields(details: &Details) -> u64 {
    details.numbers[0]
}

#[trace(name = "charge")]
#[inline(never)]
fn numbers(details: &Details) -> u64 {
    LocalSpan::add_properties(|| {
        let [a, b, c, d] = details.numbers.map(|number| number.to_string());
        [("a", a), ("b", b), ("c", c), ("d", d)]
    });
    details.numbers[0]
}

#[trace(name = "charge")]
#[inline(never)]
fn texts(details: &Details) -> u64 {
    let [a, b, c, d] = details.texts;
    LocalSpan::add_properties(|| [("a", a), ("b", b), ("c", c), ("d", d)]);
    details.numbers[0]
}

#[trace(name = "charge", enter_on_poll = true)]
#[inline(never)]
async fn ready(amount: u64, method: Method, attempt: u32) -> Payment {
    counted(method, attempt, || pay(amount))
}

#[trace(name = "charge", enter_on_poll = true)]
#[inline(never)]
async fn waiting(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = Instant::now();
    wait_once().await;
    let payment = pay(amount);
    count(started, method, attempt, &payment);
    payment
}

#[trace(name = "charge")]
#[inline(never)]
fn bare(amount: u64, _: Method, _: u32) -> Payment {
    pay(amount)
}
