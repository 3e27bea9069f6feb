//! The OpenTelemetry API's idea of where a thread is: kept the same as ours, both ways.

use super::Carried;
use crate::trace::TraceContext;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};
use opentelemetry::{Context, ContextGuard};
use opentelemetry_sdk::propagation::BaggagePropagator;
use std::fmt;

/// A place that is current for the API.
pub(crate) struct Current(#[allow(dead_code, reason = "does its work when dropped")] ContextGuard);

impl Current {
    pub(super) fn new(trace: Option<TraceContext>, remote: bool, carried: Option<&Carried>) -> Self {
        let mut context = Context::current();
        if let Some(trace) = trace {
            context = context.with_remote_span_context(span_context(trace, remote, carried));
        }
        if let Some(carried) = carried.filter(|carried| !carried.baggage.as_str().is_empty()) {
            // The SDK knows best what it makes of a header.
            let header = Header(carried.baggage.as_str());
            context = BaggagePropagator::new().extract_with_context(&context, &header);
        }
        Self(context.attach())
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

/// The `baggage` header alone.
struct Header<'a>(&'a str);

impl Extractor for Header<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == crate::propagation::BAGGAGE).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![crate::propagation::BAGGAGE]
    }
}

fn span_context(trace: TraceContext, remote: bool, carried: Option<&Carried>) -> SpanContext {
    let state = carried.and_then(|carried| carried.tracestate.as_str().parse().ok()).unwrap_or_default();
    let flags = if trace.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace_id, span_id) = (trace.trace_id.to_be_bytes(), trace.span_id.to_be_bytes());
    SpanContext::new(TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id), flags, remote, state)
}

/// The innermost span: a span of the API if one has been made current since ours.
pub(super) fn innermost(ours: Option<(TraceContext, bool)>) -> Option<(TraceContext, bool)> {
    let current = Context::map_current(|context| {
        let span = context.has_active_span().then(|| context.span().span_context().clone())?;
        span.is_valid().then(|| {
            let trace = TraceContext {
                trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
                span_id: u64::from_be_bytes(span.span_id().to_bytes()),
                sampled: span.is_sampled(),
            };
            (trace, span.is_remote())
        })
    });
    // Of what is in both, ours is remote only if nobody has opened a span below it.
    match (current, ours) {
        (Some((current, _)), Some((ours, remote))) if current == ours => Some((ours, remote)),
        (None, ours) => ours,
        (current, _) => current,
    }
}
