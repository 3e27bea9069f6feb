//! Metrics for Prometheus: the registry, and its text.

#[cfg(feature = "health")]
use super::collectors::Checks;
use super::collectors::{Health, Objectives};
use super::store_text;
use super::text_format::to_prometheus_text;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Objectives));
    registry.register_collector(Box::new(Health));
    #[cfg(feature = "health")]
    registry.register_collector(Box::new(Checks));
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
    // A text has about the length of the one before.
    static LENGTH: AtomicUsize = AtomicUsize::new(0);
    let length = LENGTH.load(Ordering::Relaxed);
    let mut out = String::with_capacity(length + length / 16);
    store_text::encode(format, &mut out);
    match format {
        TextFormat::OpenMetrics => encode_registry(&mut out),
        TextFormat::Prometheus => {
            let mut openmetrics = String::new();
            encode_registry(&mut openmetrics);
            to_prometheus_text(&openmetrics, &mut out);
        }
    }
    LENGTH.store(out.len(), Ordering::Relaxed);
    out
}

/// Appends what is not in the store, as `OpenMetrics` text.
pub(super) fn encode_registry(out: &mut String) {
    // A `String` takes whatever it is given, so this fails only if a metric of the application does.
    if registry(|registry| text::encode(out, registry)).is_err() {
        tracing::warn!(target: "obs_runtime::metrics", "a registered metric failed to encode; the scrape is incomplete");
    }
}
