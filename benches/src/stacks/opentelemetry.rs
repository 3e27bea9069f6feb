//! OpenTelemetry's own instruments, read by a reader that is never asked.

use crate::case::{Case, Running, Work};
use crate::payment::{BOUNDS, Method, Outcome, Payment, call, pay};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, MeterProvider};
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use std::sync::LazyLock;
use std::time::Instant;

pub(super) const CASES: &[Case] =
    &[Case::new(Work::Red, "opentelemetry_sdk", || Running::new(|calls| call(calls, charge)))];

static PROVIDER: LazyLock<SdkMeterProvider> =
    LazyLock::new(|| SdkMeterProvider::builder().with_reader(ManualReader::builder().build()).build());
static CALLS: LazyLock<Counter<u64>> =
    LazyLock::new(|| PROVIDER.meter("benches").u64_counter("calls").build());
static DURATIONS: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    PROVIDER.meter("benches").f64_histogram("duration").with_boundaries(BOUNDS.to_vec()).build()
});

#[inline(never)]
fn charge(amount: u64, method: Method, attempt: u32) -> Payment {
    let started = Instant::now();
    let payment = pay(amount);
    let labels = [
        KeyValue::new("method", method.name()),
        KeyValue::new("retry", attempt > 1),
        KeyValue::new("outcome", Outcome::of(&payment).name()),
    ];
    CALLS.add(1, &labels);
    DURATIONS.record(started.elapsed().as_secs_f64(), &labels);
    payment
}
