//! Metrics for Prometheus: the registry, and its text.

use super::families::StoreCollector;
use super::text_format::to_prometheus_text;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(StoreCollector));
    registry.register_collector(Box::new(RuntimeCollector));
    Mutex::new(registry)
});

/// The text forms of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// `text/plain; version=0.0.4`, the classic form that every scraper reads.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl TextFormat {
    /// The form that an HTTP `Accept` header asks for.
    ///
    /// ```
    /// use obs_runtime::metrics::TextFormat;
    ///
    /// let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    /// assert_eq!(TextFormat::for_accept(prometheus), TextFormat::OpenMetrics);
    /// assert_eq!(TextFormat::for_accept("*/*"), TextFormat::Prometheus);
    /// ```
    #[must_use]
    pub fn for_accept(accept: &str) -> Self {
        let quality = |wanted: &str| {
            let ranges = accept.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let quality = |part: &str| part.strip_prefix("q=")?.parse::<f32>().ok();
                (parts.next()? == wanted).then(|| parts.find_map(quality).unwrap_or(1.0))
            });
            ranges.fold(0.0, f32::max)
        };
        let openmetrics = quality("application/openmetrics-text");
        if openmetrics > 0.0 && openmetrics >= quality("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The HTTP `Content-Type` of the form.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Gives access to the registry behind `/metrics`, to add metrics of the application's own.
///
/// The registry is locked meanwhile: neither call this nor [`encode`] inside it, which would wait for
/// ever. Names that begin with `function_` or `obs_` are taken.
///
/// ```
/// use obs_runtime::metrics::{self, prometheus_client::metrics::gauge::Gauge};
///
/// let queue_depth: Gauge = Gauge::default();
/// metrics::registry(|registry| registry.register("queue_depth", "Jobs waiting", queue_depth.clone()));
/// queue_depth.set(3);
/// assert!(metrics::encode(metrics::TextFormat::Prometheus).contains("queue_depth 3"));
/// ```
pub fn registry<R>(with: impl FnOnce(&mut Registry) -> R) -> R {
    with(&mut REGISTRY.lock().unwrap_or_else(PoisonError::into_inner))
}

/// All metrics as text: observed functions, the application's own, and the runtime's.
#[must_use]
pub fn encode(format: TextFormat) -> String {
    let mut out = String::new();
    // A `String` takes whatever it is given, so this fails only if a metric of the application does.
    let encoded = registry(|registry| text::encode(&mut out, registry));
    if encoded.is_err() {
        tracing::warn!(target: "obs_runtime::metrics", "a registered metric failed to encode; the scrape is incomplete");
    }
    match format {
        TextFormat::OpenMetrics => out,
        TextFormat::Prometheus => to_prometheus_text(&out),
    }
}

/// The runtime's own health: what was lost, and why.
#[derive(Debug)]
struct RuntimeCollector;

impl Collector for RuntimeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        counter(
            encoder,
            "obs_label_values_folded",
            "Label values filed under \"other\" because their bound was reached",
            crate::bounded::folded(),
        )?;
        let help = "Fields left out because a scope had too many";
        counter(encoder, "obs_fields_dropped", help, crate::context::left_out())?;
        {
            let help = "Headers from outside that do not follow their specification";
            let mut metric =
                encoder.encode_descriptor("obs_headers_rejected", help, None, MetricType::Counter)?;
            for (header, count) in crate::propagation::rejected() {
                ConstCounter::new(count).encode(metric.encode_family(&[("header", header)])?)?;
            }
        }
        #[cfg(feature = "log")]
        counter(
            encoder,
            "obs_log_lines_dropped",
            "Log lines lost to a full buffer or a failing output",
            crate::log::dropped(),
        )?;
        #[cfg(feature = "otlp")]
        sending(encoder)?;
        let mut gauge = |name: &str, help: &str, value: i64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge(
            "obs_declared_series",
            "Combinations of labels and outcomes that all observed functions can have",
            i64::try_from(super::families::declared_series()).unwrap_or(i64::MAX),
        )?;
        let build = ConstGauge::new(1_i64);
        let labels = crate::setup::build_labels();
        let mut metric =
            encoder.encode_descriptor("build_info", "What is running", None, build.metric_type())?;
        build.encode(metric.encode_family(&labels)?)
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let counter = ConstCounter::new(value);
    counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
}

/// What became of what was to be sent, by signal.
#[cfg(feature = "otlp")]
fn sending(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    use super::delivery::Signal;
    counter(encoder, "obs_spans_dropped", "Sampled spans that were not exported", Signal::Traces.dropped(0))?;
    let help = "Log records that were not sent to the collector; their lines are elsewhere";
    counter(encoder, "obs_log_records_dropped", help, Signal::Logs.dropped(0))?;
    let help = "Metric points that were not sent to the collector; their values are still here";
    counter(encoder, "obs_metric_points_dropped", help, Signal::Metrics.dropped(0))?;
    let sent = || Signal::ALL.into_iter().filter(|signal| signal.sending());
    let help = "Batches that the collector did not take";
    let mut failures = encoder.encode_descriptor("obs_export_failures", help, None, MetricType::Counter)?;
    for signal in sent() {
        ConstCounter::new(signal.failures()).encode(failures.encode_family(&[("signal", signal.name())])?)?;
    }
    let help = "When the collector last took a batch, in Unix time; 0 if never";
    let name = "obs_last_export_success_timestamp_seconds";
    let mut success = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for signal in sent() {
        let gauge = ConstGauge::new(signal.last_success_seconds());
        gauge.encode(success.encode_family(&[("signal", signal.name())])?)?;
    }
    Ok(())
}
