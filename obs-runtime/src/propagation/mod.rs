//! From service to service: what is read from the headers of a request, and written to those of the next.
//!
//! | header | by | carries |
//! |---|---|---|
//! | `traceparent` | [W3C Trace Context](https://www.w3.org/TR/trace-context-2/), level 2 | the trace, the caller's span, the sampling decision |
//! | `tracestate` | the same | what tracing systems tell each other, passed on as it came |
//! | `baggage` | [W3C Baggage](https://www.w3.org/TR/baggage/) | entries of the application's own |
//! | `x-request-id` | custom | the request's id: the context field `request_id` |
//!
//! The layers in `http` do this by themselves. For any other transport there are two functions,
//! whatever holds its headers:
//!
//! ```
//! use obs_runtime::propagation::{extract, inject};
//! use std::collections::HashMap;
//!
//! # fn handle(message: &HashMap<String, String>) {}
//! fn consume(message: &HashMap<String, String>) {
//!     extract(message).run(|| handle(message));
//! }
//!
//! fn produce() -> HashMap<String, String> {
//!     let mut headers = HashMap::new();
//!     inject(&mut headers);
//!     headers
//! }
//! # consume(&produce());
//! ```
//!
//! With `tonic`, pass `request.metadata().as_ref()` and `request.metadata_mut().as_mut()`: they are an
//! `http::HeaderMap`.
//!
//! A header that does not follow its specification counts as absent, and in
//! `obs_headers_rejected_total`.

mod baggage;
mod headers;
mod request_id;
mod tracestate;

pub(crate) use baggage::Baggage;
pub(crate) use baggage::{allow, allowed};
pub use headers::{Headers, HeadersMut};
#[cfg(feature = "http")]
pub(crate) use request_id::new as new_request_id;
pub(crate) use request_id::{REQUEST_ID_FIELD, is_valid as is_request_id};
pub(crate) use tracestate::TraceState;

use crate::Context;
use crate::context::{Span, unescape, with_stack};
use crate::trace::TraceContext;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";
pub(crate) const BAGGAGE: &str = "baggage";
/// The header that a request's id travels in.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Whether the headers of W3C Trace Context are read and written, and whether `baggage` is.
static CHOSEN: [AtomicBool; 2] = [AtomicBool::new(true), AtomicBool::new(true)];

/// Chooses which headers there are.
pub(crate) fn choose(trace: bool, baggage: bool) {
    CHOSEN[0].store(trace, Ordering::Relaxed);
    CHOSEN[1].store(baggage, Ordering::Relaxed);
}

fn chosen() -> [bool; 2] {
    [&CHOSEN[0], &CHOSEN[1]].map(|chosen| chosen.load(Ordering::Relaxed))
}

static REJECTED: [(&str, AtomicU64); 4] = [
    (TRACEPARENT, AtomicU64::new(0)),
    (TRACESTATE, AtomicU64::new(0)),
    (BAGGAGE, AtomicU64::new(0)),
    (REQUEST_ID, AtomicU64::new(0)),
];

/// How many headers were not as their specifications have them, by name.
#[cfg(feature = "prometheus")]
pub(crate) fn rejected() -> impl Iterator<Item = (&'static str, u64)> {
    REJECTED.iter().map(|(name, count)| (*name, count.load(Ordering::Relaxed)))
}

fn reject(header: &str) {
    if let Some((_, count)) = REJECTED.iter().find(|(name, _)| *name == header) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a request's headers say of where it comes from.
///
/// Enter the context for as long as the request is worked on: spans opened inside are the caller's
/// children, and lines have the request's id and the [baggage that may be logged](crate::Builder::baggage_fields).
/// Without any of the headers it is empty, and entering it changes nothing.
#[must_use]
pub fn extract(headers: &(impl Headers + ?Sized)) -> Context {
    let request_id = request_id_of(headers);
    Context::layer(extract_with(headers, request_id.as_deref()))
}

/// As [`extract`], with the request's id as it was found or made.
pub(crate) fn extract_with(headers: &(impl Headers + ?Sized), request_id: Option<&str>) -> Span {
    let trace = traceparent_of(headers);
    let tracestate = trace.map(|_| tracestate_of(headers)).unwrap_or_default();
    let baggage = baggage_of(headers);
    let mut context = context_of_request(trace, request_id, &baggage);
    if trace.is_some() || !baggage.as_str().is_empty() {
        context.carry(|carried| (carried.tracestate, carried.baggage) = (tracestate, baggage));
    }
    context
}

/// The context of a request that brings a trace and an id, if it brings them, and baggage.
pub(crate) fn context_of_request(
    trace: Option<TraceContext>,
    request_id: Option<&str>,
    baggage: &Baggage,
) -> Span {
    Span::context(trace, |fields| {
        if let Some(id) = request_id {
            fields.push_str(REQUEST_ID_FIELD, id);
        }
        for (key, value) in allowed(baggage) {
            fields.push_str(key, &value);
        }
    })
}

pub(crate) fn traceparent_of(headers: &(impl Headers + ?Sized)) -> Option<TraceContext> {
    let mut values = Values::of(headers, TRACEPARENT).filter(|_| chosen()[0])?;
    // Two of them contradict each other, or one was smuggled in.
    let only = values.texts.pop().filter(|_| values.texts.is_empty() && values.readable);
    let parsed = only.and_then(|value| value.trim_matches([' ', '\t']).parse().ok());
    if parsed.is_none() {
        reject(TRACEPARENT);
    }
    parsed
}

fn tracestate_of(headers: &(impl Headers + ?Sized)) -> TraceState {
    let Some(values) = Values::of(headers, TRACESTATE) else { return TraceState::default() };
    let parsed = TraceState::parse(&values.texts.join(",")).filter(|_| values.readable);
    parsed.unwrap_or_else(|| {
        reject(TRACESTATE);
        TraceState::default()
    })
}

fn baggage_of(headers: &(impl Headers + ?Sized)) -> Baggage {
    let values = Values::of(headers, BAGGAGE).filter(|_| chosen()[1]);
    let Some(values) = values else { return Baggage::default() };
    let (baggage, complete) = Baggage::parse(&values.texts.join(","));
    if !complete || !values.readable {
        reject(BAGGAGE);
    }
    baggage
}

/// The request's id, if it has one that may go into log lines and headers.
pub(crate) fn request_id_of(headers: &(impl Headers + ?Sized)) -> Option<String> {
    let mut values = Values::of(headers, REQUEST_ID)?;
    let only = values.texts.pop().filter(|_| values.texts.is_empty() && values.readable);
    let valid = only.filter(|id| is_request_id(id));
    if valid.is_none() {
        reject(REQUEST_ID);
    }
    valid
}

/// Writes to headers where this thread is: the innermost span, and what its request carries.
///
/// The request's id is the innermost context field `request_id`, however it came there. Outside any
/// span or context, nothing is written.
///
/// A span that is not exported has no id of its own: each call writes a new one, in the same trace. The place of a
/// caller, with no span below it, is written as it came.
pub fn inject(headers: &mut (impl HeadersMut + ?Sized)) {
    let here = with_stack(|stack| {
        let fields = stack.top().map(|top| stack.visible(top)).unwrap_or_default();
        let id = fields.iter().rev().find(|entry| stack.fields().key(entry) == REQUEST_ID_FIELD.as_bytes());
        let id = id.map(|entry| unescape(stack.fields().value(entry)));
        (stack.place_to_send(), stack.carried().cloned(), id)
    });
    let Some((place, carried, request_id)) = here else { return };
    let mut set = |header, value: &str| {
        if !value.is_empty() {
            headers.set(header, value);
        }
    };
    let carried = carried.as_deref();
    let [trace_context, with_baggage] = chosen();
    let valid = |trace: TraceContext| trace_context && trace.trace_id != 0 && trace.span_id != 0;
    if let Some(trace) = place.filter(|trace| valid(*trace)) {
        set(TRACEPARENT, &trace.to_string());
        set(TRACESTATE, carried.map_or("", |carried| carried.tracestate.as_str()));
    }
    let baggage = carried.map_or("", |carried| carried.baggage.as_str());
    #[cfg(feature = "opentelemetry")]
    let other = crate::context::baggage_beside(baggage);
    #[cfg(feature = "opentelemetry")]
    let baggage = other.as_deref().unwrap_or(baggage);
    if with_baggage {
        set(BAGGAGE, baggage);
    }
    if let Some(id) = request_id.filter(|id| is_request_id(id)) {
        headers.set(REQUEST_ID, &id);
    }
}

/// The values of a header that is there.
struct Values {
    texts: Vec<String>,
    /// Whether all of them are text.
    readable: bool,
}

impl Values {
    fn of(headers: &(impl Headers + ?Sized), name: &str) -> Option<Self> {
        let mut values = Self { texts: Vec::new(), readable: true };
        headers.each(name, &mut |value| match std::str::from_utf8(value) {
            Ok(text) => values.texts.push(text.to_owned()),
            Err(_) => values.readable = false,
        });
        (!values.texts.is_empty() || !values.readable).then_some(values)
    }
}
