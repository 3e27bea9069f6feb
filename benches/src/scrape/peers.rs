//! The peers' own families, with the same content.

use super::{FUNCTIONS, Place, Store, VALUES};
use crate::payment::BOUNDS;
use ::metrics::{counter, histogram};
use ::prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, Opts, TextEncoder};
use ::prometheus_client::encoding::{EncodeLabelSet, text};
use ::prometheus_client::metrics::counter::Counter;
use ::prometheus_client::metrics::family::Family;
use ::prometheus_client::metrics::histogram::Histogram;
use ::prometheus_client::registry::Registry;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::{LazyLock, OnceLock};
use std::time::Instant;

pub(super) const PROMETHEUS_CLIENT: Store = Store {
    name: "prometheus-client",
    start: || {
        LazyLock::force(&FAMILIES);
    },
    touch: |place| {
        let started = Instant::now();
        let labels = Labels::of(place);
        FAMILIES.calls.get_or_create(&labels).inc();
        FAMILIES.durations.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
    },
    scrape: || {
        let mut out = String::new();
        text::encode(&mut out, &FAMILIES.registry).expect("a `String` takes whatever it is given");
        out
    },
};

/// What the functions are called, and the values of their labels.
static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..FUNCTIONS).map(|number| format!("benches::f{number}")).collect());
const TEXTS: [&str; VALUES] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    function: &'static str,
    outcome: &'static str,
    a: &'static str,
    b: &'static str,
}

impl Labels {
    fn of(Place { function, a, b }: Place) -> Self {
        Self { function: &NAMES[function], outcome: "ok", a: TEXTS[a], b: TEXTS[b] }
    }

    fn texts(&self) -> [&'static str; 4] {
        [self.function, self.outcome, self.a, self.b]
    }
}

struct Families {
    calls: Family<Labels, Counter>,
    durations: Family<Labels, Histogram>,
    registry: Registry,
}

static FAMILIES: LazyLock<Families> = LazyLock::new(|| {
    let calls = Family::default();
    let durations: Family<Labels, Histogram> = Family::new_with_constructor(|| Histogram::new(BOUNDS));
    let mut registry = Registry::default();
    registry.register("function_calls", "Calls", calls.clone());
    registry.register("function_duration_seconds", "How long they took", durations.clone());
    Families { calls, durations, registry }
});

pub(super) const PROMETHEUS: Store = Store {
    name: "prometheus",
    start: || {
        LazyLock::force(&VECTORS);
    },
    touch: |place| {
        let started = Instant::now();
        let labels = Labels::of(place).texts();
        VECTORS.0.with_label_values(&labels).inc();
        VECTORS.1.with_label_values(&labels).observe(started.elapsed().as_secs_f64());
    },
    scrape: || {
        let mut out = Vec::new();
        let encoded = TextEncoder::new().encode(&::prometheus::gather(), &mut out);
        encoded.expect("a vector takes whatever it is given");
        String::from_utf8(out).expect("text")
    },
};

static VECTORS: LazyLock<(IntCounterVec, HistogramVec)> = LazyLock::new(|| {
    let names = &["function", "outcome", "a", "b"];
    let calls = Opts::new("function_calls_total", "Calls");
    let durations =
        HistogramOpts::new("function_duration_seconds", "How long they took").buckets(BOUNDS.to_vec());
    let calls = ::prometheus::register_int_counter_vec!(calls, names).expect("valid and new");
    let durations = ::prometheus::register_histogram_vec!(durations, names).expect("valid and new");
    (calls, durations)
});

pub(super) const METRICS: Store = Store {
    name: "metrics-exporter-prometheus",
    start: || {
        let builder = PrometheusBuilder::new().set_buckets(&BOUNDS).expect("there are bounds");
        let handle = builder.install_recorder().expect("nothing else has been installed in this process");
        let _ = EXPORTER.set(handle);
    },
    touch: |place| {
        let started = Instant::now();
        let [function, outcome, a, b] = Labels::of(place).texts();
        counter!("function_calls_total", "function" => function, "outcome" => outcome, "a" => a, "b" => b)
            .increment(1);
        histogram!("function_duration_seconds", "function" => function, "outcome" => outcome, "a" => a, "b" => b)
            .record(started.elapsed().as_secs_f64());
    },
    scrape: || EXPORTER.get().map(PrometheusHandle::render).unwrap_or_default(),
};

static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();
