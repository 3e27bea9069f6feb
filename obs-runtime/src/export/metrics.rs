//! Metrics by push: at intervals, and at the end, for jobs that end before anybody scrapes them.

use super::delivery::{Delivery, Reporter, Signal};
use super::exemplars;
use super::families::{Durations, Family, families, names};
use super::otlp::{Client, ResourceMessage};
use super::pipeline::{Flush, quiet};
use super::registered;
use crate::label::LabelTexts;
use crate::metrics::{TextFormat, encode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static FLUSHES: OnceLock<Mutex<Sender<Flush>>> = OnceLock::new();

/// Metrics by OTLP.
pub(crate) struct ToCollector {
    client: Client,
    resource: ResourceMessage,
}

impl ToCollector {
    pub(crate) fn new(client: Client, resource: ResourceMessage) -> Self {
        Self { client, resource }
    }
}

/// Starts the thread that sends all metrics each `interval`.
pub(crate) fn start(sender: ToCollector, to: String, interval: Duration) -> io::Result<()> {
    let (flushes, asked) = channel();
    let reporter = Reporter::new(Signal::Metrics, to);
    let start = unix_nanos();
    exemplars::start();
    thread::Builder::new()
        .name("obs-export-metrics".into())
        .spawn(move || Push { sender, reporter, start }.run(&asked, interval))?;
    Signal::Metrics.set_sending();
    let _ = FLUSHES.set(Mutex::new(flushes));
    Ok(())
}

/// Asks that metrics be sent now. False if that can't be.
pub(crate) fn flush(flush: Flush) -> Option<bool> {
    let flushes = FLUSHES.get()?.lock().unwrap_or_else(PoisonError::into_inner);
    Some(flushes.send(flush).is_ok())
}

struct Push {
    sender: ToCollector,
    reporter: Reporter,
    start: u64,
}

impl Push {
    fn run(&mut self, asked: &Receiver<Flush>, interval: Duration) {
        let _quiet = quiet();
        let mut ended = false;
        loop {
            match asked.recv_timeout(interval) {
                Ok(flush) => {
                    if !ended {
                        self.push();
                    }
                    ended |= flush.last;
                    // Whoever asked may have given up meanwhile.
                    let _ = flush.done.send(());
                }
                Err(RecvTimeoutError::Timeout) if !ended => self.push(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Sends all metrics. What is asked for them is somebody else's code, and may panic.
    fn push(&mut self) {
        let pushed = catch_unwind(AssertUnwindSafe(|| self.send()));
        if pushed.is_err() {
            self.reporter.note(0, Delivery::Lost("a metric of the application panicked".to_owned()));
        }
    }

    fn send(&mut self) {
        let metrics = metrics(Moment { start: self.start, now: unix_nanos() });
        let points = metrics.iter().map(points).sum();
        let scope = InstrumentationScope {
            name: "obs_runtime".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let resource = &self.sender.resource;
        let resource_metrics = ResourceMetrics {
            resource: Some(Resource { attributes: resource.attributes.0.clone(), ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }],
            schema_url: resource.schema_url.clone().unwrap_or_default(),
        };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
        self.reporter.note(points, self.sender.client.deliver(request.encode_to_vec()));
    }
}

fn unix_nanos() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// When counting began, and when it was read, in nanoseconds of Unix time.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) start: u64,
    pub(super) now: u64,
}

/// All there are: of observed functions, of the runtime, of the application.
fn metrics(moment: Moment) -> Vec<Metric> {
    let families = families();
    let ours: Vec<String> = families.keys().flat_map(|stem| names(stem)).collect();
    let mut metrics: Vec<Metric> =
        families.into_iter().flat_map(|(stem, family)| of_family(stem, family, moment)).collect();
    metrics.extend(registered::metrics(&encode(TextFormat::OpenMetrics), &ours, moment));
    metrics
}

/// The layers' metrics have names in the semantic conventions, which the text of Prometheus can't spell.
fn named(stem: &str) -> [String; 3] {
    match stem.strip_prefix("http_").and_then(|stem| stem.strip_suffix("_request")) {
        Some(side) => {
            ["request.calls", "request.duration", "active_requests"].map(|name| format!("http.{side}.{name}"))
        }
        None => names(stem),
    }
}

fn key(label: &str) -> &str {
    match label {
        "http_request_method" => "http.request.method",
        "http_route" => "http.route",
        "server_address" => "server.address",
        "error" => "error.type",
        "function" => "code.function.name",
        other => other,
    }
}

fn of_family(stem: &str, family: Family, moment: Moment) -> Vec<Metric> {
    let [calls, duration, in_flight] = named(stem);
    #[allow(clippy::cast_precision_loss, reason = "counts beyond 2^53 are centuries away")]
    let points = |counts: std::collections::BTreeMap<LabelTexts, u64>| {
        counts.into_iter().map(|(labels, count)| number(attributes(labels), count as f64, moment)).collect()
    };
    let metric = |name, description: &str, unit: &str, data| Metric {
        name,
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let durations = family.durations.into_iter().map(|(labels, durations)| distribution(labels, &durations));
    vec![
        metric(calls, "Calls by outcome", "{call}", sum(points(family.calls), true)),
        metric(duration, "How long calls took", "s", histogram(durations, moment)),
        metric(
            in_flight,
            "Calls that have begun and not ended",
            "{call}",
            sum(points(family.in_flight), false),
        ),
    ]
}

fn distribution(labels: LabelTexts, durations: &Durations) -> Distribution {
    Distribution {
        attributes: attributes(labels),
        bounds: durations.bounds.to_vec(),
        counts: durations.series.buckets.clone(),
        sum: durations.seconds(),
        exemplars: durations
            .of
            .iter()
            .flat_map(|(function, series)| exemplars::of(*function, *series))
            .collect(),
    }
}

fn attributes(labels: LabelTexts) -> Vec<KeyValue> {
    let attribute = |(label, value): (&str, std::borrow::Cow<'static, str>)| KeyValue {
        key: key(label).to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.into_owned())) }),
        ..KeyValue::default()
    };
    labels.into_iter().map(attribute).collect()
}

/// A histogram's point.
pub(super) struct Distribution {
    pub(super) attributes: Vec<KeyValue>,
    pub(super) bounds: Vec<f64>,
    /// One for each bound, and one for what is above the last.
    pub(super) counts: Vec<u64>,
    pub(super) sum: f64,
    pub(super) exemplars: Vec<exemplars::Exemplar>,
}

pub(super) fn histogram(of: impl Iterator<Item = Distribution>, moment: Moment) -> Data {
    let point = |distribution: Distribution| HistogramDataPoint {
        attributes: distribution.attributes,
        start_time_unix_nano: moment.start,
        time_unix_nano: moment.now,
        count: distribution.counts.iter().sum(),
        sum: Some(distribution.sum),
        bucket_counts: distribution.counts,
        explicit_bounds: distribution.bounds,
        exemplars: distribution.exemplars.into_iter().map(exemplar).collect(),
        ..HistogramDataPoint::default()
    };
    Data::Histogram(Histogram {
        data_points: of.map(point).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
    })
}

fn exemplar(of: exemplars::Exemplar) -> Exemplar {
    Exemplar {
        time_unix_nano: of.unix_nanos,
        trace_id: of.trace.trace_id.to_be_bytes().to_vec(),
        span_id: of.trace.span_id.to_be_bytes().to_vec(),
        value: Some(ExemplarValue::AsDouble(of.seconds)),
        ..Exemplar::default()
    }
}

pub(super) fn number(attributes: Vec<KeyValue>, value: f64, moment: Moment) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: moment.start,
        time_unix_nano: moment.now,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

pub(super) fn sum(data_points: Vec<NumberDataPoint>, is_monotonic: bool) -> Data {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
}

fn points(metric: &Metric) -> u64 {
    let points = match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        _ => 0,
    };
    points as u64
}
