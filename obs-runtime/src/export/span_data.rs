//! A finished span in the words of the OpenTelemetry SDK.

use crate::clock::Anchor;
use crate::context::{Fields, SpanEvent, unescape};
use crate::site::{Site, SpanKind};
use crate::trace::{Attribute, Finished, Rest, TraceContext, limits};
use opentelemetry::trace::{self, Event, Link, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;
use std::time::SystemTime;

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

    pub(crate) fn convert(&mut self, mut span: Finished, fields: &Fields) -> SpanData {
        #[cfg(feature = "prometheus")]
        super::exemplars::note(&span, self.anchor.unix_nanos(span.ended));
        let context = span_context(span.trace, false, tracestate(&span));
        let parent = span.parent.unwrap_or_default();
        let rest = span.rest.take().map(|rest| *rest).unwrap_or_default();
        let (attributes, dropped_attributes_count) =
            limited(attributes(&span, &rest, fields), limits().attributes);
        let (events, links) = self.notes(&mut span, &rest);
        let (start_time, end_time) = self.times(span.started, span.ended);
        SpanData {
            span_context: context,
            parent_span_id: SpanId::from_bytes(parent.0.to_be_bytes()),
            parent_span_is_remote: parent.1,
            span_kind: span.call.map_or(trace::SpanKind::Internal, |(site, _)| kind(site)),
            name: rest.name.map_or(Cow::Borrowed(span.metadata.name()), Cow::Owned),
            start_time,
            end_time,
            attributes,
            dropped_attributes_count,
            events,
            links,
            status: rest.error.map_or(Status::Unset, |error| Status::error(cut(error.text))),
            instrumentation_scope: self.scope.clone(),
        }
    }

    /// When the span began and ended, in this order whatever the clocks say.
    fn times(&mut self, started: u64, ended: u64) -> (SystemTime, SystemTime) {
        let (start, end) = (self.anchor.system_time(started), self.anchor.system_time(ended));
        (start.min(end), end)
    }

    /// What happened in the span, its failure last.
    fn notes(&mut self, span: &mut Finished, rest: &Rest) -> (SpanEvents, SpanLinks) {
        let noted = std::mem::take(&mut span.notes).into_noted();
        let (mut events, mut links) = (SpanEvents::default(), SpanLinks::default());
        events.events = noted.events.iter().map(|event| self.event(event)).collect();
        events.dropped_count = noted.dropped_events;
        if let Some((error, exception)) =
            rest.error.as_ref().and_then(|error| Some((error, error.exception?)))
        {
            let attributes = vec![
                KeyValue::new("exception.type", exception),
                text("exception.message", error.text.clone()),
            ];
            let (attributes, dropped) = limited(attributes, limits().event_attributes);
            let at = self.anchor.system_time(span.ended);
            push_last(&mut events, Event::new("exception", at, attributes, dropped), limits().events);
        }
        let link = |(to, remote): &(TraceContext, bool)| {
            Link::new(span_context(*to, *remote, TraceState::default()), Vec::new(), 0)
        };
        links.links = noted.links.iter().map(link).collect();
        links.dropped_count = noted.dropped_links;
        (events, links)
    }

    fn event(&mut self, event: &SpanEvent) -> Event {
        let mut attributes = vec![
            KeyValue::new("level", event.metadata.level().as_str()),
            KeyValue::new("target", event.metadata.target()),
        ];
        push_fields(&mut attributes, &event.fields);
        let (attributes, dropped) = limited(attributes, limits().event_attributes);
        let message = unescape(&event.message);
        let name = if message.is_empty() { event.metadata.name().to_owned() } else { message };
        Event::new(cut(name), self.anchor.system_time(event.at), attributes, dropped)
    }
}

fn span_context(trace: TraceContext, remote: bool, state: TraceState) -> SpanContext {
    let flags = TraceFlags::new(trace.flags());
    let (trace_id, span_id) = (trace.trace_id.to_be_bytes(), trace.span_id.to_be_bytes());
    SpanContext::new(TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id), flags, remote, state)
}

/// As it came, if the SDK takes it, whose rules are a little stricter.
fn tracestate(span: &Finished) -> TraceState {
    let carried = span.carried.as_ref().map(|carried| carried.tracestate.as_str());
    carried.and_then(|state| state.parse().ok()).unwrap_or_default()
}

/// Adds the event that says most, in the place of the one before it if there is no room.
fn push_last(events: &mut SpanEvents, event: Event, limit: usize) {
    if events.events.len() >= limit {
        events.dropped_count += 1;
        if events.events.pop().is_none() {
            return;
        }
    }
    events.events.push(event);
}

/// Keeps the first `limit` attributes, and says how many more there were.
fn limited(mut attributes: Vec<KeyValue>, limit: usize) -> (Vec<KeyValue>, u32) {
    let dropped = attributes.len().saturating_sub(limit);
    attributes.truncate(limit);
    // Names and labels that were compiled in have a length too.
    cut_all(&mut attributes, limits().value_length);
    (attributes, u32::try_from(dropped).unwrap_or(u32::MAX))
}

/// An attribute whose text is cut at the limit.
fn text(key: &'static str, text: String) -> KeyValue {
    KeyValue::new(key, cut(text))
}

/// The first so many characters, as the limit on values has it.
fn cut(text: String) -> String {
    cut_at(limits().value_length, text)
}

fn cut_at(limit: usize, mut text: String) -> String {
    if text.len() > limit {
        if let Some((end, _)) = text.char_indices().nth(limit) {
            text.truncate(end);
        }
    }
    text
}

/// Cuts the texts that are longer.
fn cut_all(attributes: &mut [KeyValue], limit: usize) {
    for attribute in attributes {
        if let Value::String(text) = &attribute.value {
            if text.as_str().len() > limit {
                attribute.value = cut_at(limit, text.as_str().to_owned()).into();
            }
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
fn attributes(span: &Finished, rest: &Rest, fields: &Fields) -> Vec<KeyValue> {
    let mut attributes = Vec::new();
    if let Some((site, series)) = span.call {
        attributes.push(KeyValue::new("code.function.name", site.function()));
        attributes.push(KeyValue::new("outcome", span.outcome));
        // Attributes of its own say all that the labels say.
        let shape = site.shape().filter(|_| rest.attributes.is_empty());
        let labels = shape.map(|shape| site.labels(shape, series)).unwrap_or_default();
        attributes.extend(labels.into_iter().map(|(name, value)| KeyValue::new(name, value)));
    }
    if let Some(file) = span.metadata.file() {
        attributes.push(KeyValue::new("code.file.path", file));
    }
    if let Some(line) = span.metadata.line() {
        attributes.push(KeyValue::new("code.line.number", i64::from(line)));
    }
    if let Some(error) = &rest.error {
        let kind = error.kind.clone().unwrap_or_else(|| span.outcome.to_owned());
        attributes.push(text("error.type", kind));
    }
    for (key, value) in rest.attributes.iter().chain(&rest.counted) {
        // The conventions' name for a thing goes before our own.
        attributes.retain(|attribute| attribute.key.as_str() != *key);
        attributes.push(match value {
            Attribute::Text(value) => text(key, value.clone()),
            Attribute::Static(value) => KeyValue::new(*key, *value),
            Attribute::Number(value) => KeyValue::new(*key, *value),
        });
    }
    push_fields(&mut attributes, fields);
    attributes
}

/// Adds a span's own fields; of equal keys the last one counts.
fn push_fields(attributes: &mut Vec<KeyValue>, fields: &Fields) {
    let entries = fields.all();
    for (i, entry) in entries.iter().enumerate() {
        if !fields.shadowed(entry, fields, &entries[i + 1..]) {
            let key = fields.name(entry);
            // A field goes before the label of its name.
            attributes.retain(|attribute| attribute.key.as_str() != key);
            attributes.push(KeyValue::new(key, value(fields.value(entry), limits().value_length)));
        }
    }
}

/// A JSON value as the attribute type that says the same, with text of at most `limit` characters.
pub(super) fn value(json: &[u8], limit: usize) -> Value {
    let text = unescape(json);
    match json.first() {
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'"') => Value::String(cut_at(limit, text).into()),
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
    use crate::clock;

    #[test]
    fn a_span_by_clocks_that_disagree_took_no_time_and_was_just_now() {
        let now = clock::now();
        // Another core that is ahead, and a counter that has begun anew since the span did.
        for ahead in [1e6, 3_600e9] {
            let (start, end) = Converter::new().times(now + clock::ticks(ahead), now);
            assert_eq!(start, end, "{ahead}");
            // The two clocks are not read at the same instant, and an hour is what it could be wrong by.
            let apart = end.elapsed().unwrap_or_else(|ahead| ahead.duration());
            assert!(apart.as_secs() < 60, "{ahead}");
        }
    }

    #[test]
    fn a_failure_is_an_event_among_those_that_there_may_be() {
        for (limit, names, dropped) in [(3, &["a", "b", "exception"][..], 0), (2, &["a", "exception"], 1)] {
            let event = |name| Event::with_name(name);
            let mut events = SpanEvents::default();
            events.events = vec![event("a"), event("b")];
            push_last(&mut events, event("exception"), limit);
            let kept: Vec<_> = events.events.iter().map(|event| event.name.as_ref()).collect();
            assert_eq!((&kept[..], events.dropped_count), (names, dropped));
        }
        let mut none = SpanEvents::default();
        push_last(&mut none, Event::with_name("exception"), 0);
        assert_eq!((none.events.len(), none.dropped_count), (0, 1));
    }

    #[test]
    fn whatever_a_text_is_of_it_is_cut() {
        let mut attributes = [KeyValue::new("code.file.path", "src/main.rs"), KeyValue::new("number", 12345)];
        cut_all(&mut attributes, 3);
        assert_eq!(attributes, [KeyValue::new("code.file.path", "src"), KeyValue::new("number", 12345)]);
    }

    #[test]
    fn values_keep_their_type() {
        let of = |json: &[u8]| value(json, usize::MAX);
        assert_eq!(of(b"true"), Value::Bool(true));
        assert_eq!(of(b"-3"), Value::I64(-3));
        assert_eq!(of(b"2.0"), Value::F64(2.0));
        assert_eq!(of(b"1e-7"), Value::F64(1e-7));
        assert_eq!(of(br#""a\"b""#), Value::String("a\"b".into()));
        assert_eq!(of(b"18446744073709551615"), Value::String("18446744073709551615".into()));
        assert_eq!(value("\"äöü\"".as_bytes(), 2), Value::String("äö".into()));
    }
}
