//! A finished span in the words of the OpenTelemetry SDK.

use crate::clock::Anchor;
use crate::context::{Fields, unescape};
use crate::site::{Site, SpanKind};
use crate::trace::Finished;
use opentelemetry::trace::{self, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// Turns spans that ended not long ago into what exporters take.
#[derive(Debug)]
pub(crate) struct Converter {
    scope: InstrumentationScope,
    anchor: Anchor,
}

impl Converter {
    pub(crate) fn new() -> Self {
        let scope =
            InstrumentationScope::builder("obs_runtime").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { scope, anchor: Anchor::NONE }
    }

    pub(crate) fn convert(&mut self, span: Finished) -> SpanData {
        let context = SpanContext::new(
            TraceId::from_bytes(span.trace.trace_id.to_be_bytes()),
            SpanId::from_bytes(span.trace.span_id.to_be_bytes()),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        );
        let parent = span.parent.unwrap_or_default();
        SpanData {
            span_context: context,
            parent_span_id: SpanId::from_bytes(parent.0.to_be_bytes()),
            parent_span_is_remote: parent.1,
            span_kind: span.call.map_or(trace::SpanKind::Internal, |(site, _)| kind(site)),
            name: span.metadata.name().into(),
            start_time: self.anchor.system_time(span.started),
            end_time: self.anchor.system_time(span.ended),
            attributes: attributes(&span),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.error.map_or(Status::Unset, |error| Status::error(error.text)),
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn kind(site: &Site) -> trace::SpanKind {
    match site.spec.kind {
        SpanKind::Internal => trace::SpanKind::Internal,
        SpanKind::Server => trace::SpanKind::Server,
        SpanKind::Client => trace::SpanKind::Client,
        SpanKind::Producer => trace::SpanKind::Producer,
        SpanKind::Consumer => trace::SpanKind::Consumer,
    }
}

/// By the names of the OpenTelemetry semantic conventions where they have one.
fn attributes(span: &Finished) -> Vec<KeyValue> {
    let mut attributes = Vec::new();
    if let Some((site, series)) = span.call {
        attributes.push(KeyValue::new("code.function.name", site.function()));
        attributes.push(KeyValue::new("outcome", span.outcome));
        let labels = site.shape().map(|shape| site.labels(shape, series)).unwrap_or_default();
        attributes.extend(labels.into_iter().map(|(name, value)| KeyValue::new(name, value)));
    }
    if let Some(file) = span.metadata.file() {
        attributes.push(KeyValue::new("code.file.path", file));
    }
    if let Some(line) = span.metadata.line() {
        attributes.push(KeyValue::new("code.line.number", i64::from(line)));
    }
    if let Some(error) = &span.error {
        let kind = error.kind.clone().unwrap_or_else(|| span.outcome.to_owned());
        attributes.push(KeyValue::new("error.type", kind));
    }
    push_fields(&mut attributes, &span.fields);
    attributes
}

/// Adds a span's own fields; of equal keys the last one counts.
fn push_fields(attributes: &mut Vec<KeyValue>, fields: &Fields) {
    let entries = fields.all();
    for (i, entry) in entries.iter().enumerate() {
        if !fields.shadowed(entry, fields, &entries[i + 1..]) {
            let key = String::from_utf8_lossy(fields.key(entry)).into_owned();
            // A field goes before the label of its name.
            attributes.retain(|attribute| attribute.key.as_str() != key);
            attributes.push(KeyValue::new(key, value(fields.value(entry))));
        }
    }
}

/// A JSON value as the attribute type that says the same.
fn value(json: &[u8]) -> Value {
    let text = unescape(json);
    match json.first() {
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'"') => Value::String(text.into()),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::I64(number),
            // A whole number too large for the protocol keeps its digits as text.
            (_, Ok(number)) if text.contains(['.', 'e']) => Value::F64(number),
            _ => Value::String(text.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_type() {
        assert_eq!(value(b"true"), Value::Bool(true));
        assert_eq!(value(b"-3"), Value::I64(-3));
        assert_eq!(value(b"2.0"), Value::F64(2.0));
        assert_eq!(value(b"1e-7"), Value::F64(1e-7));
        assert_eq!(value(br#""a\"b""#), Value::String("a\"b".into()));
        assert_eq!(value(b"18446744073709551615"), Value::String("18446744073709551615".into()));
    }
}
