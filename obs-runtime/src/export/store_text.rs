//! The store's metrics in the text formats, byte for byte as `prometheus-client` writes them.

use super::families::{Durations, Namesakes, families, names};
use super::labels::SeriesLabels;
use super::prometheus::TextFormat;
use crate::site::SHARED_METRIC;
use crate::store::{FunctionSnapshot, snapshot};

/// `function_calls_total`, `function_duration_seconds` and `function_calls_in_flight`, and the same for each
/// `metric = ".."`.
pub(super) fn encode(format: TextFormat, out: &mut String) {
    encode_snapshot(&snapshot(), format, out);
}

fn encode_snapshot(snapshot: &[FunctionSnapshot], format: TextFormat, out: &mut String) {
    let mut text = Text { format, out, labels: String::new() };
    for (stem, functions) in families(snapshot) {
        text.family(stem, &functions);
    }
}

struct Text<'a> {
    format: TextFormat,
    out: &'a mut String,
    /// Those of the series that is being written.
    labels: String,
}

impl Text<'_> {
    fn family(&mut self, stem: &str, functions: &[Namesakes<'_>]) {
        let shared = stem == SHARED_METRIC;
        let of =
            if shared { "observed functions".to_owned() } else { format!("functions observed as {stem}") };
        let [calls, duration, in_flight] = names(stem);

        self.describe_counter(&calls, &format!("Calls of {of} by outcome"));
        let start = format!("{calls}_total{{");
        for (labels, count) in functions.iter().flat_map(Namesakes::calls) {
            self.set_labels(labels);
            self.sample(&start, count);
        }

        self.describe_seconds(&duration, &format!("How long calls of {of} took"));
        let mut starts = HistogramStarts::new(&duration);
        for durations in functions.iter().flat_map(Namesakes::durations) {
            self.histogram(&mut starts, &durations);
        }

        self.describe(&in_flight, "gauge", &format!("Calls of {of} that have begun and not ended"));
        let start = format!("{in_flight}{{");
        for (labels, count) in functions.iter().map(Namesakes::in_flight) {
            self.set_labels(labels);
            self.sample(&start, count);
        }
    }

    fn histogram(&mut self, starts: &mut HistogramStarts, durations: &Durations<'_>) {
        self.set_labels(durations.labels());
        self.line(&starts.sum, dtoa::Buffer::new().format(durations.seconds()));
        self.sample(&starts.count, durations.buckets.iter().sum());
        let mut cumulative = 0;
        for (start, count) in starts.buckets(durations.bounds()).iter().zip(&*durations.buckets) {
            cumulative += count;
            self.sample(start, cumulative);
        }
    }

    fn set_labels(&mut self, labels: SeriesLabels<'_>) {
        self.labels.clear();
        labels.write(&mut self.labels);
        self.labels.push_str("} ");
    }

    fn sample(&mut self, start: &str, count: u64) {
        self.line(start, itoa::Buffer::new().format(count));
    }

    fn line(&mut self, start: &str, value: &str) {
        self.out.push_str(start);
        self.out.push_str(&self.labels);
        self.out.push_str(value);
        self.out.push('\n');
    }

    fn describe(&mut self, name: &str, kind: &str, help: &str) {
        self.out.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"]);
    }

    fn describe_counter(&mut self, name: &str, help: &str) {
        match self.format {
            TextFormat::OpenMetrics => self.describe(name, "counter", help),
            TextFormat::Prometheus => self.describe(&format!("{name}_total"), "counter", help),
        }
    }

    fn describe_seconds(&mut self, name: &str, help: &str) {
        self.describe(&format!("{name}_seconds"), "histogram", help);
        if self.format == TextFormat::OpenMetrics {
            self.out.extend(["# UNIT ", name, "_seconds seconds\n"]);
        }
    }
}

/// How the lines of a family's histograms start.
struct HistogramStarts {
    sum: String,
    count: String,
    bucket: String,
    bounds: &'static [f64],
    buckets: Vec<String>,
}

impl HistogramStarts {
    fn new(name: &str) -> Self {
        let [sum, count, bucket] = ["sum", "count", "bucket"].map(|part| format!("{name}_seconds_{part}{{"));
        Self { sum, count, bucket, bounds: &[], buckets: Vec::new() }
    }

    /// Of the bucket of each bound, and of the last. Most functions of a family have the same bounds.
    fn buckets(&mut self, bounds: &'static [f64]) -> &[String] {
        if self.bounds != bounds || self.buckets.is_empty() {
            let start = |bound: &str| format!("{}le=\"{bound}\",", self.bucket);
            let finite = bounds.iter().map(|bound| start(dtoa::Buffer::new().format(*bound)));
            self.buckets = finite.chain([start("+Inf")]).collect();
            self.bounds = bounds;
        }
        &self.buckets
    }
}

#[cfg(test)]
pub(super) mod tests;
