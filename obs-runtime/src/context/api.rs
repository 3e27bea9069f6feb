//! The OpenTelemetry API's idea of where a thread is: kept the same as ours, both ways.

use super::Carried;
use crate::panics::quietly;
use crate::trace::TraceContext;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};
use opentelemetry::{Context, ContextGuard};
use opentelemetry_sdk::propagation::BaggagePropagator;
use std::cell::Cell;
use std::fmt;

/// Lives as long as the API's own thread-local can be used, and not longer: made right after that one, it is
/// destroyed right before it.
struct Alive;

thread_local! {
    static ALIVE: Alive = {
        Context::map_current(|_| ());
        Alive
    };
}

thread_local! {
    /// How many frames of this thread could not be made current for the API.
    static UNATTACHED: Cell<u32> = const { Cell::new(0) };
}

impl Drop for Alive {
    fn drop(&mut self) {}
}

/// Whether this thread is not so far torn down that the API would panic.
fn alive() -> bool {
    ALIVE.try_with(|_| ()).is_ok()
}

/// A place that is current for the API.
///
/// The API keeps its contexts in a `RefCell` that is borrowed while `Context::map_current` runs its closure. To attach a
/// context then panics, and there is no way to ask beforehand. So the panic is caught, and the frame is not current for
/// the API, but the innermost one for everything else.
pub(crate) struct Current {
    guard: Option<ContextGuard>,
    /// Whether it is counted in `UNATTACHED`.
    is_unattached: bool,
}

impl Current {
    /// `anew` hides what the API takes for current.
    pub(super) fn new(place: Option<(TraceContext, bool)>, carried: Option<&Carried>, anew: bool) -> Self {
        if !alive() {
            return Self { guard: None, is_unattached: false };
        }
        let mut context = if anew { Context::new() } else { Context::current() };
        if let Some((trace, remote)) = place {
            context = context.with_remote_span_context(span_context(trace, remote, carried));
        }
        if let Some(carried) = carried.filter(|carried| !carried.baggage.as_str().is_empty()) {
            context = with_baggage(&context, carried.baggage.as_str());
        }
        let guard = quietly(|| context.attach());
        let is_unattached = guard.is_none();
        UNATTACHED.set(UNATTACHED.get() + u32::from(is_unattached));
        Self { guard, is_unattached }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        UNATTACHED.set(UNATTACHED.get().saturating_sub(u32::from(self.is_unattached)));
        let Some(guard) = self.guard.take() else { return };
        if alive() {
            // A frame that is left while the API's contexts are borrowed stays current for the API.
            let _ = quietly(|| drop(guard));
        } else {
            // It would look for a thread-local that is gone.
            std::mem::forget(guard);
        }
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

/// The SDK knows best what it makes of a header.
fn with_baggage(context: &Context, header: &str) -> Context {
    BaggagePropagator::new().extract_with_context(context, &Header(header))
}

/// The baggage that is current for the API, as a header, if it is not what this header says.
pub(crate) fn baggage_beside(ours: &str) -> Option<String> {
    if !alive() {
        return None;
    }
    let current = Context::current();
    let theirs = current.baggage();
    let said = with_baggage(&Context::new(), ours);
    let same = theirs.len() == said.baggage().len()
        && theirs.iter().all(|(key, (value, _))| said.baggage().get(key.as_str()) == Some(value));
    if same {
        return None;
    }
    let mut headers = std::collections::HashMap::new();
    BaggagePropagator::new().inject_context(&current, &mut headers);
    headers.remove(crate::propagation::BAGGAGE)
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
    let flags = TraceFlags::new(trace.flags());
    let (trace_id, span_id) = (trace.trace_id.to_be_bytes(), trace.span_id.to_be_bytes());
    SpanContext::new(TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id), flags, remote, state)
}

/// The innermost span: a span of the API if one has been made current since ours.
pub(super) fn innermost(ours: Option<(TraceContext, bool)>) -> Option<(TraceContext, bool)> {
    if !alive() {
        return ours;
    }
    // The API can't have made anything current since.
    if UNATTACHED.get() > 0 && ours.is_some() {
        return ours;
    }
    let current = Context::map_current(|context| {
        let span = context.has_active_span().then(|| context.span().span_context().clone())?;
        span.is_valid().then(|| {
            let trace = TraceContext {
                trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
                span_id: u64::from_be_bytes(span.span_id().to_bytes()),
                sampled: span.is_sampled(),
                random: span.trace_flags().to_u8() & 2 != 0,
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
