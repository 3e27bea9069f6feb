//! A recorder in place of the outputs: what was logged, counted and traced, to ask questions of.
//!
//! The runtime is one for the process, so tests run in parallel against one recorder; each looks only
//! at functions of its own, whose names no other test of the binary uses.

#![forbid(unsafe_code)]

pub mod pprof;
pub mod process;
pub mod receiver;

use opentelemetry::{Key, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prometheus_parse::{Scrape, Value as Sample};
use serde_json::Value as Json;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpSocket;

/// Long enough on the slowest machine; a test that waits this long has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// What the runtime of this process has put out.
#[derive(Debug)]
pub struct Recorder {
    lines: Lines,
    parsed: Mutex<Parsed>,
    spans: Spans,
    _guard: obs_runtime::Guard,
}

/// Starts the runtime on first use, with every level logged and every trace sampled.
pub fn recorder() -> &'static Recorder {
    static RECORDER: LazyLock<Recorder> = LazyLock::new(|| {
        let (lines, spans) = (Lines::default(), Spans::default());
        let guard = obs_runtime::builder()
            .log_filter("trace")
            .log_output(lines.clone())
            .no_admin()
            .sampler(obs_runtime::Sampler::ParentBasedAlwaysOn)
            .span_exporter(spans.clone())
            .init()
            .expect("the runtime starts");
        Recorder { lines, parsed: Mutex::default(), spans, _guard: guard }
    });
    &RECORDER
}

/// The log lines so far, each parsed once.
#[derive(Debug, Default)]
struct Parsed {
    bytes: usize,
    lines: Vec<Json>,
}

/// An exporter that keeps the spans it is given.
#[derive(Clone, Debug, Default)]
pub struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
        Ok(())
    }
}

impl Spans {
    /// Those that something holds for, oldest first.
    #[must_use]
    pub fn which(&self, holds: impl Fn(&SpanData) -> bool) -> Vec<SpanData> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|span| holds(span)).cloned().collect()
    }
}

/// A port of this machine that is ours, and refuses connections until something listens on it.
#[derive(Debug)]
pub struct ClosedPort(TcpSocket);

impl ClosedPort {
    /// Takes a port that is free.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        Self(socket)
    }

    /// Its address.
    ///
    /// # Panics
    /// If the system does not know it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }

    /// Accepts connections from now on.
    ///
    /// # Panics
    /// If that can't be.
    #[must_use]
    pub fn listen(self) -> TcpListener {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let listener = runtime.block_on(async { self.0.listen(128)?.into_std() }).expect("it listens");
        listener.set_nonblocking(false).expect("a listener that waits");
        listener
    }
}

/// An output that keeps what is written to it.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Everything written so far.
    ///
    /// # Panics
    /// If it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        self.text_after(0)
    }

    fn text_after(&self, bytes: usize) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(all[bytes..].to_vec()).expect("UTF-8")
    }
}

impl Recorder {
    /// The log lines of a function and of events below it, oldest first.
    #[must_use]
    pub fn lines(&self, function: &str) -> Vec<Json> {
        let of_function = |line: &Json| line["function"].as_str().is_some_and(|name| named(name, function));
        self.lines_which(of_function)
    }

    /// Every log line, each of which is one JSON object.
    ///
    /// # Panics
    /// If a line is not JSON, or has a key twice.
    #[must_use]
    pub fn all_lines(&self) -> Vec<Json> {
        self.lines_which(|_| true)
    }

    fn lines_which(&self, holds: impl Fn(&Json) -> bool) -> Vec<Json> {
        assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.lines.text_after(parsed.bytes);
        // What comes after the last line end is a line that is being written.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let new: Vec<Json> = text[..whole].lines().map(parse_line).collect();
        parsed.bytes += whole;
        parsed.lines.extend(new);
        parsed.lines.iter().filter(|line| holds(line)).cloned().collect()
    }

    /// The log lines of a target whose message names the function.
    #[must_use]
    pub fn lines_of(&self, target: &str, function: &str) -> Vec<Json> {
        let says = |line: &Json| line["msg"].as_str().is_some_and(|message| message.contains(function));
        self.lines_which(|line| line["target"] == target && says(line))
    }

    /// The one line in which a call of the function ended.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[must_use]
    pub fn end_line(&self, function: &str) -> Json {
        let ends = self.lines(function).into_iter().filter(|line| line.get("outcome").is_some());
        only(ends.collect(), function)
    }

    /// The spans of a function, by the end of their name.
    ///
    /// # Panics
    /// If they can't be flushed in time.
    #[must_use]
    pub fn spans(&self, function: &str) -> Vec<SpanData> {
        assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
        self.spans.which(|span| named(&span.name, function))
    }

    /// The one span of a function.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[must_use]
    pub fn span(&self, function: &str) -> SpanData {
        only(self.spans(function), function)
    }

    /// The samples of a metric with these labels, as `(all labels, value)`.
    #[must_use]
    pub fn samples(&self, metric: &str, labels: &[(&str, &str)]) -> Vec<(prometheus_parse::Labels, f64)> {
        let matches = |sample: &prometheus_parse::Sample| {
            sample.metric == metric
                && labels.iter().all(|(key, value)| {
                    let actual = sample.labels.get(key).unwrap_or_default();
                    if *key == "function" { named(actual, value) } else { actual == *value }
                })
        };
        let value = |value: &Sample| match value {
            Sample::Counter(value) | Sample::Gauge(value) | Sample::Untyped(value) => *value,
            // The count of all observations.
            Sample::Histogram(buckets) => buckets.last().map_or(0.0, |bucket| bucket.count),
            Sample::Summary(_) => 0.0,
        };
        let function = labels.iter().find(|(key, _)| *key == "function");
        let function = function.map(|(_, name)| format!("{name}\""));
        let may_match = |line: &str| {
            line.starts_with(metric) && function.as_ref().is_none_or(|function| line.contains(function))
        };
        let samples = scrape_of(may_match).samples.into_iter().filter(matches);
        samples.map(|sample| (sample.labels, value(&sample.value))).collect()
    }

    /// The value of the one sample with these labels; `None` if there is none.
    ///
    /// # Panics
    /// If there are several.
    #[must_use]
    pub fn sample(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.samples(metric, labels);
        assert!(found.len() <= 1, "several {metric} with {labels:?}: {found:?}");
        found.pop().map(|(_, value)| value)
    }

    /// How many calls of a function have had an outcome, all its labels together.
    #[must_use]
    pub fn calls(&self, function: &str, outcome: &str) -> f64 {
        let samples = self.samples("function_calls_total", &[("function", function), ("outcome", outcome)]);
        samples.into_iter().map(|(_, value)| value).sum()
    }

    /// The calls of a function that have begun and not ended.
    ///
    /// # Panics
    /// If the function is not known.
    #[must_use]
    pub fn in_flight(&self, function: &str) -> f64 {
        self.sample("function_calls_in_flight", &[("function", function)]).expect("declared")
    }

    /// Checks that one call of the function ended as it should, in the metric, the span and the log alike.
    ///
    /// # Panics
    /// If one of them tells something else.
    pub fn assert_one_call(&self, function: &str, outcome: &str) {
        for other in ["ok", "error", "panic", "cancelled"] {
            let expected = if other == outcome { 1.0 } else { 0.0 };
            assert!((self.calls(function, other) - expected).abs() < 0.5, "{function}: calls with {other}");
        }
        assert!(self.in_flight(function).abs() < 0.5, "{function}: in flight");
        let durations =
            self.samples("function_duration_seconds", &[("function", function), ("outcome", outcome)]);
        let durations: f64 = durations.into_iter().map(|(_, count)| count).sum();
        assert!((durations - 1.0).abs() < 0.5, "{function}: durations");
        assert_eq!(attribute(&self.span(function), "outcome").as_deref(), Some(outcome), "{function}: span");
        assert_eq!(self.end_line(function)["outcome"], outcome, "{function}: line");
    }
}

/// All metrics, through the parser of somebody else.
///
/// # Panics
/// If it is not the text format.
#[must_use]
pub fn scrape() -> Scrape {
    scrape_of(|_| true)
}

/// Some of the metrics: parsing all that a process has takes a while.
/// The sum of all series of a counter or gauge with these labels.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn total(metric: &str, labels: &[(&str, &str)]) -> f64 {
    let matches = |sample: &prometheus_parse::Sample| {
        sample.metric == metric && labels.iter().all(|(key, value)| sample.labels.get(key) == Some(*value))
    };
    let samples: Vec<_> = scrape().samples.into_iter().filter(matches).collect();
    assert!(!samples.is_empty(), "{metric} with {labels:?}");
    let value = |sample: prometheus_parse::Sample| match sample.value {
        Sample::Counter(value) | Sample::Gauge(value) => value,
        other => panic!("{metric}: {other:?}"),
    };
    samples.into_iter().map(value).sum()
}

fn scrape_of(wanted: impl Fn(&str) -> bool) -> Scrape {
    let text = obs_runtime::metrics::encode(obs_runtime::metrics::TextFormat::Prometheus);
    let lines = text.lines().filter(|line| line.starts_with('#') || wanted(line));
    Scrape::parse(lines.map(|line| Ok(line.to_owned()))).expect("the text format")
}

/// The value of the counter or gauge with these labels; `None` if there is none.
#[must_use]
pub fn value(metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let samples = scrape_of(|line| line.starts_with(metric)).samples;
    let sample = samples.into_iter().find(|sample| {
        sample.metric == metric && labels.iter().all(|(key, value)| sample.labels.get(key) == Some(*value))
    })?;
    match sample.value {
        Sample::Counter(value) | Sample::Gauge(value) | Sample::Untyped(value) => Some(value),
        Sample::Histogram(_) | Sample::Summary(_) => None,
    }
}

/// An attribute of a span, as text.
#[must_use]
pub fn attribute(span: &SpanData, key: &'static str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == Key::from_static_str(key))?;
    Some(match &found.value {
        Value::String(text) => text.as_str().to_owned(),
        other => other.to_string(),
    })
}

/// One log line as JSON.
///
/// # Panics
/// If it is not one JSON object, or has a key twice, which JSON parsers would hide.
#[must_use]
pub fn parse_line(line: &str) -> Json {
    let parsed: Json = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let object = parsed.as_object().unwrap_or_else(|| panic!("an object: {line}"));
    let written = |key: &String| format!("{}:", Json::from(key.as_str()));
    let keys: usize = object.keys().map(|key| written(key).len()).sum();
    let length: usize = object.iter().map(|(_, value)| value.to_string().len() + 1).sum();
    // Numbers and characters that are escaped may be written in more than one way, so lengths are compared only where there
    // are none.
    if !object.values().any(Json::is_number) && !line.contains("\\u") {
        assert_eq!(keys + length + 1, line.len(), "each key once: {line}");
    }
    for key in object.keys() {
        assert!(line.matches(&format!(",{}", written(key))).count() <= 1, "{key} once: {line}");
    }
    parsed
}

fn named(full: &str, function: &str) -> bool {
    full == function || full.ends_with(&format!("::{function}"))
}

fn only<T: std::fmt::Debug>(mut found: Vec<T>, of: &str) -> T {
    assert_eq!(found.len(), 1, "exactly one of {of}: {found:#?}");
    found.remove(0)
}
