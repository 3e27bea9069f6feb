//! The application's own metrics, read back from the registry's text, as metrics of OTLP.

use super::metrics::{Moment, histogram, number, sum};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric};
use std::collections::BTreeMap;

/// The metrics of an `OpenMetrics` text, as `prometheus-client` writes it.
pub(super) fn metrics(text: &str, moment: Moment) -> Vec<Metric> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            describe(&mut families, comment);
        } else if let (Some(family), Some(sample)) = (families.last_mut(), Sample::parse(line)) {
            family.samples.push(sample);
        }
    }
    families.retain(|family| !family.samples.is_empty());
    families.into_iter().map(|family| family.metric(moment)).collect()
}

/// Takes in `HELP name text`, `TYPE name type` or `UNIT name unit`.
fn describe<'a>(families: &mut Vec<Family<'a>>, comment: &'a str) {
    let mut words = comment.splitn(3, ' ');
    let (Some(what), Some(name)) = (words.next(), words.next()) else { return };
    let text = words.next().unwrap_or_default();
    if families.last().is_none_or(|family| family.name != name) {
        families.push(Family { name, ..Family::default() });
    }
    let Some(family) = families.last_mut() else { return };
    match what {
        "HELP" => family.help = text,
        "TYPE" => family.kind = text,
        "UNIT" => family.unit = text,
        _ => {}
    }
}

#[derive(Default)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    kind: &'a str,
    unit: &'a str,
    samples: Vec<Sample>,
}

/// One line of the text.
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at(end);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Self { name: name.to_owned(), labels, value })
    }

    /// Its labels without `le`, and that.
    fn split_bound(mut self) -> (Vec<(String, String)>, Option<f64>, f64) {
        let place = self.labels.iter().position(|(name, _)| name == "le");
        let bound = place.and_then(|place| self.labels.remove(place).1.parse().ok());
        (self.labels, bound, self.value)
    }
}

/// The labels behind an opening brace, and what comes behind the closing one.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        rest = loop {
            match chars.next()? {
                (end, '"') => break &quoted[end + 1..],
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
    }
}

impl Family<'_> {
    fn metric(self, moment: Moment) -> Metric {
        let unit = if self.unit == "seconds" { "s" } else { self.unit };
        let data = match self.kind {
            "counter" => {
                let points = self
                    .samples
                    .into_iter()
                    .map(|sample| number(attributes(sample.labels), sample.value, moment));
                sum(points.collect(), true)
            }
            "histogram" => histograms(self.samples, moment),
            _ => Data::Gauge(Gauge {
                data_points: self
                    .samples
                    .into_iter()
                    .map(|sample| number(attributes(sample.labels), sample.value, moment))
                    .collect(),
            }),
        };
        Metric {
            name: self.name.to_owned(),
            description: self.help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }
}

/// What the lines of one histogram say together.
#[derive(Default)]
struct Parts {
    sum: f64,
    /// Cumulative, as the text has them.
    buckets: Vec<(f64, f64)>,
}

fn histograms(samples: Vec<Sample>, moment: Moment) -> Data {
    let mut by_labels: BTreeMap<Vec<(String, String)>, Parts> = BTreeMap::new();
    for sample in samples {
        let is_sum = sample.name.ends_with("_sum");
        let is_bucket = sample.name.ends_with("_bucket");
        let (labels, bound, value) = sample.split_bound();
        let parts = by_labels.entry(labels).or_default();
        match bound {
            Some(bound) if is_bucket => parts.buckets.push((bound, value)),
            _ if is_sum => parts.sum = value,
            _ => {}
        }
    }
    histogram(
        by_labels.into_iter().map(|(labels, parts)| {
            let bounds =
                parts.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect();
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts, in the text as floats"
            )]
            let counts = std::iter::once(0.0)
                .chain(parts.buckets.iter().map(|(_, count)| *count))
                .zip(parts.buckets.iter().map(|(_, count)| *count))
                .map(|(before, count)| (count - before).max(0.0) as u64)
                .collect();
            super::metrics::Distribution {
                attributes: attributes(labels),
                bounds,
                counts,
                sum: parts.sum,
                exemplars: Vec::new(),
            }
        }),
        moment,
    )
}

fn attributes(labels: Vec<(String, String)>) -> Vec<KeyValue> {
    let text = |text| Some(AnyValue { value: Some(Value::StringValue(text)) });
    labels
        .into_iter()
        .map(|(key, value)| KeyValue { key, value: text(value), ..KeyValue::default() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

    const TEXT: &str = r#"# HELP orders Orders placed.
# TYPE orders counter
orders_total{method="card",note="a\"b\\c\nd}"} 3
orders_total{method="bank"} 0
# HELP depth Jobs.
# TYPE depth gauge
depth -2.5
# HELP latency_seconds How long.
# TYPE latency_seconds histogram
# UNIT latency_seconds seconds
latency_seconds_sum 1.5
latency_seconds_count 3
latency_seconds_bucket{le="0.1"} 1
latency_seconds_bucket{le="1.0"} 3
latency_seconds_bucket{le="+Inf"} 3
# HELP unused Nothing yet.
# TYPE unused gauge
# EOF
"#;

    #[test]
    fn what_the_registry_writes_is_read_back() {
        let moment = Moment { start: 1, now: 2 };
        let metrics = metrics(TEXT, moment);
        let names: Vec<_> =
            metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
        assert_eq!(names, [("orders", ""), ("depth", ""), ("latency_seconds", "s")]);
        let Some(Data::Sum(orders)) = &metrics[0].data else { panic!("{:?}", metrics[0]) };
        assert!(orders.is_monotonic);
        assert_eq!(orders.data_points[0].value, Some(Number::AsDouble(3.0)));
        let note = orders.data_points[0].attributes[1].value.clone().and_then(|value| value.value);
        assert_eq!(note, Some(Value::StringValue("a\"b\\c\nd}".to_owned())));
        let Some(Data::Gauge(depth)) = &metrics[1].data else { panic!("{:?}", metrics[1]) };
        assert_eq!(depth.data_points[0].value, Some(Number::AsDouble(-2.5)));
        let Some(Data::Histogram(latency)) = &metrics[2].data else { panic!("{:?}", metrics[2]) };
        let point = &latency.data_points[0];
        assert_eq!(
            (point.explicit_bounds.as_slice(), point.bucket_counts.as_slice()),
            (&[0.1, 1.0][..], &[1, 2, 0][..])
        );
        assert_eq!((point.count, point.sum), (3, Some(1.5)));
    }
}
