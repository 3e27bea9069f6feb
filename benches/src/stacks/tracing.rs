//! The usual stack: `tracing` with a layer of `tracing-opentelemetry` over the `Registry`, `autometrics` for
//! RED, and the JSON lines of `tracing-subscriber`.

use super::futures::{poll_to_end, wait_once};
use super::lines::{REQUEST_ID, SPAN_ID, TRACE_ID, USER_ID, log};
use super::spans::{CountingExporter, exported};
use crate::case::{Case, Running, Work};
use crate::payment::{Details, Method, Payment, call, call_with_details, pay};
use autometrics::autometrics;
use autometrics::settings::AutometricsSettings;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracerProvider};
use std::io;
use std::pin::pin;
use std::sync::OnceLock;
use tracing::instrument;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

const WITH_RED: &str = "tracing-opentelemetry, autometrics";
const SPANS: &str = "tracing-opentelemetry";

pub(super) const CASES: &[Case] = &[
    Case::new(Work::Red, "autometrics", || {
        count_calls();
        Running::new(|calls| call(calls, red))
    }),
    Case::new(Work::Sampled, WITH_RED, || sampled(|calls| outer(|| call(calls, charge)))),
    Case::new(Work::Root, WITH_RED, || sampled(|calls| call(calls, charge))),
    Case::new(Work::Unsampled, WITH_RED, || {
        start(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
        Running::new(|calls| outer(|| call(calls, charge)))
    }),
    Case::new(Work::NoFields, SPANS, || sampled(|calls| outer(|| call_with_details(calls, no_fields)))),
    Case::new(Work::Numbers, SPANS, || sampled(|calls| outer(|| call_with_details(calls, numbers)))),
    Case::new(Work::Texts, SPANS, || sampled(|calls| outer(|| call_with_details(calls, texts)))),
    Case::new(Work::Line, "tracing-subscriber", || {
        let json = tracing_subscriber::fmt::layer().json().with_span_list(false).with_writer(io::sink);
        tracing_subscriber::registry().with(LevelFilter::INFO).with(json).init();
        Running::new(|calls| request(REQUEST_ID, USER_ID, TRACE_ID, SPAN_ID, || log(calls, line)))
    }),
    Case::new(Work::AsyncReady, WITH_RED, || {
        sampled(|calls| outer(|| call(calls, |a, m, t| poll_to_end(pin!(ready(a, m, t))))))
    }),
    Case::new(Work::AsyncYield, WITH_RED, || {
        sampled(|calls| outer(|| call(calls, |a, m, t| poll_to_end(pin!(waiting(a, m, t))))))
    }),
    Case::new(Work::Disabled, "tracing", || {
        start(Sampler::AlwaysOn);
        Running::new(|calls| call(calls, |amount, _, _| Ok(below_the_level(amount))))
    }),
    Case::new(Work::Stopped, "tracing", || Running::new(|calls| call(calls, bare))),
    Case::new(Work::StoppedLabels, "tracing, autometrics", || Running::new(|calls| call(calls, charge))),
    Case::new(Work::Layer, SPANS, || sampled(|calls| outer(|| call(calls, bare)))),
];

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

fn start(sampler: Sampler) {
    let processor = BatchSpanProcessor::builder(CountingExporter).build();
    let provider = SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(processor).build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("benches"));
    tracing_subscriber::registry().with(LevelFilter::INFO).with(spans).init();
    let _ = PROVIDER.set(provider);
    count_calls();
}

fn count_calls() {
    AutometricsSettings::builder().service_name("benches").init();
}

fn sampled(calls: impl Fn(u64) + Send + Sync + 'static) -> Running {
    start(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    Running::new(calls).arriving(|| {
        // What fails to be flushed is missing in what has arrived.
        let _ = PROVIDER.get().map(SdkTracerProvider::force_flush);
        exported()
    })
}

/// The span that others are below.
#[instrument(skip_all)]
fn outer(calls: impl FnOnce()) {
    calls();
}

#[autometrics]
#[inline(never)]
fn red(amount: u64, _: Method, _: u32) -> Payment {
    pay(amount)
}

#[instrument(skip_all, err)]
#[autometrics]
#[inline(never)]
fn charge(amount: u64, _: Method, _: u32) -> Payment {
    pay(amount)
}

#[instrument(name = "charge", skip_all)]
#[inline(never)]
fn no_fields(details: &Details) -> u64 {
    details.numbers[0]
}

#[instrument(name = "charge", skip_all, fields(
    a = details.numbers[0], b = details.numbers[1], c = details.numbers[2], d = details.numbers[3],
))]
#[inline(never)]
fn numbers(details: &Details) -> u64 {
    details.numbers[0]
}

#[instrument(name = "charge", skip_all, fields(
    a = details.texts[0], b = details.texts[1], c = details.texts[2], d = details.texts[3],
))]
#[inline(never)]
fn texts(details: &Details) -> u64 {
    details.numbers[0]
}

/// The ids are fields like others: the `Registry` knows of none.
#[instrument(skip(calls))]
fn request(request_id: &str, user_id: u64, trace_id: &str, span_id: &str, calls: impl FnOnce()) {
    calls();
}

#[inline(never)]
fn line(order: &str, amount: u64, attempt: u32) {
    tracing::info!(order, amount, attempt, "asking the bank");
}

#[instrument(name = "charge", skip_all, err)]
#[autometrics]
#[inline(never)]
async fn ready(amount: u64, _: Method, _: u32) -> Payment {
    pay(amount)
}

#[instrument(name = "charge", skip_all, err)]
#[autometrics]
#[inline(never)]
async fn waiting(amount: u64, _: Method, _: u32) -> Payment {
    wait_once().await;
    pay(amount)
}

#[instrument(level = "trace", skip_all)]
#[inline(never)]
fn below_the_level(amount: u64) -> u64 {
    amount + 1
}

#[instrument(name = "charge", skip_all)]
#[inline(never)]
fn bare(amount: u64, _: Method, _: u32) -> Payment {
    pay(amount)
}
