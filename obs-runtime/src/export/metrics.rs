//! Metrics by push: at intervals, and at the end, for jobs that end before anybody scrapes them.

use super::delivery::{Delivery, Reporter, Signal};
use super::exemplars;
use super::families::{Durations, Namesakes, families, names};
use super::labels::SeriesLabels;
use super::otlp::{Batch, Client, ITEM, RESOURCE, ResourceMessage, SCOPE};
use super::pipeline::{Flush, quiet};
use super::prometheus::encode_registry;
use super::registered;
use crate::store::snapshot;
use crate::threads::{self, caught};
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
use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
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
    let mut push = Push { sender, reporter, start, points: 0, ended: false };
    threads::spawn("obs-export-metrics", move || push.run(&asked, interval))?;
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
    /// Points that are being sent.
    points: u64,
    ended: bool,
}

impl Push {
    fn run(&mut self, asked: &Receiver<Flush>, interval: Duration) {
        let _quiet = quiet();
        loop {
            match asked.recv_timeout(interval) {
                Ok(flush) => {
                    if !self.ended {
                        self.push();
                    }
                    self.ended |= flush.last;
                    // Whoever asked may have given up meanwhile.
                    let _ = flush.done.send(());
                }
                Err(RecvTimeoutError::Timeout) if !self.ended => self.push(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Sends all metrics. What is asked for them is somebody else's code, and may panic.
    fn push(&mut self) {
        if caught(|| self.send()).is_none() {
            let lost = Delivery::Lost("a metric of the application panicked".to_owned());
            self.reporter.note([(mem::take(&mut self.points), lost)]);
        }
    }

    fn send(&mut self) {
        let metrics = metrics(Moment { start: self.start, now: unix_nanos() });
        self.points = metrics.iter().map(points).sum();
        Signal::Metrics.accept(self.points);
        let scope = InstrumentationScope {
            name: "obs_runtime".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let resource = &self.sender.resource;
        let resource = ResourceMetrics {
            resource: Some(Resource { attributes: resource.attributes.0.clone(), ..Resource::default() }),
            scope_metrics: Vec::new(),
            schema_url: resource.schema_url.clone().unwrap_or_default(),
        };
        let scope = ScopeMetrics { scope: Some(scope), ..ScopeMetrics::default() };
        let parts = self.sender.client.deliver(&batch_of(&resource, &scope, metrics));
        self.points = 0;
        self.reporter.note(parts);
    }
}

/// A batch of the metrics' points.
fn batch_of(resource: &ResourceMetrics, scope: &ScopeMetrics, metrics: Vec<Metric>) -> Batch {
    /// The field number of the points in a metric's data, of whichever kind.
    const POINT: u8 = 1;
    let mut batch = Batch::default();
    let resource = batch.header(RESOURCE, resource.encode_to_vec());
    let scope = batch.header(SCOPE, scope.encode_to_vec());
    for mut metric in metrics {
        let Some(data) = metric.data.take() else { continue };
        let metric = batch.header(ITEM, metric.encode_to_vec());
        let within = |batch: &mut Batch, field: u8, data: Vec<u8>| {
            let data = batch.header(field, data);
            batch.within(&[resource, scope, metric, data]);
        };
        match data {
            Data::Gauge(mut gauge) => {
                let points = mem::take(&mut gauge.data_points);
                within(&mut batch, 5, gauge.encode_to_vec());
                batch.items(POINT, &points);
            }
            Data::Sum(mut sum) => {
                let points = mem::take(&mut sum.data_points);
                within(&mut batch, 7, sum.encode_to_vec());
                batch.items(POINT, &points);
            }
            Data::Histogram(mut histogram) => {
                let points = mem::take(&mut histogram.data_points);
                within(&mut batch, 9, histogram.encode_to_vec());
                batch.items(POINT, &points);
            }
            // The runtime makes none of the other kinds.
            _ => {}
        }
    }
    batch
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
    let snapshot = snapshot();
    let families = families(&snapshot);
    let mut metrics: Vec<Metric> =
        families.into_iter().flat_map(|(stem, functions)| of_family(stem, &functions, moment)).collect();
    let mut registered = String::new();
    encode_registry(&mut registered);
    metrics.extend(registered::metrics(&registered, moment));
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

fn of_family(stem: &str, functions: &[Namesakes<'_>], moment: Moment) -> Vec<Metric> {
    let [calls, duration, in_flight] = named(stem);
    #[allow(clippy::cast_precision_loss, reason = "counts beyond 2^53 are centuries away")]
    let point = |(labels, count): (SeriesLabels<'_>, u64)| number(attributes(labels), count as f64, moment);
    let metric = |name, description: &str, unit: &str, data| Metric {
        name,
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let ended = functions.iter().flat_map(Namesakes::calls).map(point).collect();
    let durations = functions.iter().flat_map(Namesakes::durations).map(distribution);
    let begun = functions.iter().map(Namesakes::in_flight).map(point).collect();
    vec![
        metric(calls, "Calls by outcome", "{call}", sum(ended, true)),
        metric(duration, "How long calls took", "s", histogram(durations, moment)),
        metric(in_flight, "Calls that have begun and not ended", "{call}", sum(begun, false)),
    ]
}

fn distribution(durations: Durations<'_>) -> Distribution {
    Distribution {
        attributes: attributes(durations.labels()),
        bounds: durations.bounds().to_vec(),
        sum: durations.seconds(),
        exemplars: durations
            .places()
            .flat_map(|(function, series)| exemplars::of(function, series))
            .collect(),
        counts: durations.buckets.into_owned(),
    }
}

fn attributes(labels: SeriesLabels<'_>) -> Vec<KeyValue> {
    let attribute = |(label, text): (&str, &str)| KeyValue {
        key: key(label).to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) }),
        ..KeyValue::default()
    };
    labels.texts().map(attribute).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::prometheus::TextFormat;
    use crate::export::store_text::tests::{encoded, random_snapshot};

    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

    /// What a point says, whichever its kind: the texts of its labels, bounds, counts or value, and sum.
    type Said = (Vec<String>, Vec<f64>, Vec<u64>, Option<f64>);

    fn said(metric: Metric) -> Vec<Said> {
        let texts = |attributes: Vec<KeyValue>| {
            attributes.into_iter().map(|attribute| format!("{:?}", attribute.value)).collect()
        };
        let number = |point: NumberDataPoint| {
            let Some(Number::AsDouble(value)) = point.value else { panic!("{point:?}") };
            (texts(point.attributes), vec![value], Vec::new(), None)
        };
        match metric.data.expect("some") {
            Data::Sum(sum) => sum.data_points.into_iter().map(number).collect(),
            Data::Gauge(gauge) => gauge.data_points.into_iter().map(number).collect(),
            Data::Histogram(histogram) => {
                let said = |point: HistogramDataPoint| {
                    (texts(point.attributes), point.explicit_bounds, point.bucket_counts, point.sum)
                };
                histogram.data_points.into_iter().map(said).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_collector_is_sent_what_a_scrape_shows() {
        let moment = Moment { start: 1, now: 2 };
        let snapshot = random_snapshot(&mut fastrand::Rng::with_seed(2));
        let families = families(&snapshot);
        let sent = families.into_iter().flat_map(|(stem, functions)| of_family(stem, &functions, moment));
        let shown = registered::metrics(&encoded(&snapshot, TextFormat::OpenMetrics), moment);
        let (sent, shown): (Vec<_>, Vec<_>) =
            (sent.map(said).collect(), shown.into_iter().map(said).collect());
        assert_eq!(
            sent.iter().map(Vec::len).collect::<Vec<_>>(),
            shown.iter().map(Vec::len).collect::<Vec<_>>()
        );
        for (sent, shown) in sent.iter().flatten().zip(shown.iter().flatten()) {
            assert_eq!(sent, shown);
        }
    }

    #[test]
    fn points_of_all_kinds_are_encoded_with_what_is_around_them() {
        let moment = Moment { start: 1, now: 2 };
        let snapshot = random_snapshot(&mut fastrand::Rng::with_seed(3));
        let families = families(&snapshot);
        let metrics: Vec<Metric> = families
            .into_iter()
            .flat_map(|(stem, functions)| of_family(stem, &functions, moment))
            .filter(|metric| !said(metric.clone()).is_empty())
            .collect();
        let resource = ResourceMetrics { schema_url: "r".to_owned(), ..ResourceMetrics::default() };
        let scope = ScopeMetrics { schema_url: "s".to_owned(), ..ScopeMetrics::default() };
        let batch = batch_of(&resource, &scope, metrics.clone());
        assert_eq!(batch.len(), metrics.iter().cloned().map(said).map(|points| points.len()).sum::<usize>());
        let request =
            ExportMetricsServiceRequest::decode(&batch.request(0..batch.len())[..]).expect("protobuf");
        let scope_metrics = vec![ScopeMetrics { metrics, ..scope }];
        let expected = vec![ResourceMetrics { scope_metrics, ..resource }];
        assert_eq!(request.resource_metrics, expected);
    }
}
