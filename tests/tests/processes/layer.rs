//! The layer in a stack of the application's own, beside `tracing_subscriber::fmt`.

use obs_runtime::{context, observe};
use obs_tests::{DEADLINE, Lines, Spans, here, process};
use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;
use serde_json::Value as Json;
use std::sync::{LazyLock, Mutex};
use std::thread;
use tracing::{Instrument, Span, span::Id};
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// A layer that panics when a span of that name is closed.
struct Panics(&'static str);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Panics {
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        assert!(context.metadata(&id).is_none_or(|of| of.name() != self.0), "on purpose");
    }
}

struct Stack {
    /// What the other layer writes.
    theirs: Lines,
    spans: Spans,
    _guard: obs_runtime::Guard,
}

/// The stack of the process, and the runtime in it.
fn stack() -> &'static Stack {
    static STACK: LazyLock<Stack> = LazyLock::new(|| {
        let (theirs, spans) = (Lines::default(), Spans::default());
        let writer = theirs.clone();
        let fmt = tracing_subscriber::fmt::layer().json().with_writer(Mutex::new(writer));
        tracing_subscriber::registry()
            .with(fmt)
            .with(obs_runtime::layer())
            .with(Panics("processes::layer::closed_by_a_panic"))
            .init();
        let guard = obs_runtime::builder()
            .log_filter("info")
            .no_admin()
            .span_exporter(spans.clone())
            .init()
            .expect("the runtime finds its layer");
        Stack { theirs, spans, _guard: guard }
    });
    &STACK
}

impl Stack {
    /// Their lines that have a word in them.
    fn lines(&self, word: &str) -> Vec<Json> {
        let text = self.theirs.text();
        let lines = text.lines().filter(|line| line.contains(word));
        lines.map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn span(&self, name: &str) -> SpanData {
        assert!(obs_runtime::flush(DEADLINE).finished, "flushed in time");
        let mut named = self.spans.which(|span| span.name.ends_with(name)).into_iter();
        let span = named.next().unwrap_or_else(|| panic!("no span {name}"));
        assert!(named.next().is_none(), "{name} twice");
        span
    }
}

fn parent_of(child: &SpanData, parent: &SpanData) -> bool {
    child.parent_span_id == parent.span_context.span_id()
        && child.span_context.trace_id() == parent.span_context.trace_id()
}

#[observe(fields(order))]
fn fails(order: &str) -> Result<(), String> {
    tracing::info!(step = 1, "on the way");
    tracing::info_span!("theirs_between").in_scope(|| inner().map_err(|error| error.to_string()))
}

#[observe]
fn inner() -> Result<(), std::fmt::Error> {
    Err(std::fmt::Error)
}

#[test]
fn a_failure_is_a_line_of_the_other_layer_with_its_spans() {
    let Some(_inside) = process::together(here!()) else { return };
    let stack = stack();
    assert!(fails("A-17").is_err());
    let lines = stack.lines("inner failed");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["level"], "ERROR");
    assert_eq!(lines[0]["target"], "processes::layer");
    assert_eq!(lines[0]["fields"]["outcome"], "error");
    let spans: Vec<&str> = lines[0]["spans"]
        .as_array()
        .expect("spans")
        .iter()
        .filter_map(|span| span["name"].as_str())
        .collect();
    assert_eq!(spans, ["processes::layer::fails", "theirs_between", "processes::layer::inner"]);
    assert_eq!(lines[0]["spans"][0]["order"], "A-17");
}

#[observe]
fn outermost() {
    tracing::info_span!("span_of_theirs").in_scope(innermost);
}

#[observe(kind = "client")]
fn innermost() {
    tracing::warn!("something happened");
}

#[test]
fn spans_of_both_are_one_trace() {
    let Some(_inside) = process::together(here!()) else { return };
    let stack = stack();
    outermost();
    let [outer, theirs, inner] =
        ["::outermost", "span_of_theirs", "::innermost"].map(|name| stack.span(name));
    assert_eq!(outer.parent_span_id, SpanId::INVALID);
    assert!(parent_of(&theirs, &outer) && parent_of(&inner, &theirs));
    assert_eq!(inner.events.events.len(), 1);
    assert_eq!(inner.status, Status::Unset);
}

#[observe(fields(late = tracing::field::Empty))]
fn hands_itself_over() {
    Span::current().record("late", 7);
    let here = Span::current();
    let there = thread::spawn(move || here.in_scope(runs_elsewhere));
    there.join().expect("no panic");
}

#[observe]
fn runs_elsewhere() {}

#[test]
fn a_span_that_somebody_holds_goes_to_other_threads_and_takes_what_is_recorded() {
    let Some(_inside) = process::together(here!()) else { return };
    let stack = stack();
    hands_itself_over();
    let (here, there) = (stack.span("::hands_itself_over"), stack.span("::runs_elsewhere"));
    assert!(parent_of(&there, &here));
    let late = here.attributes.iter().find(|attribute| attribute.key.as_str() == "late");
    assert_eq!(late.map(|late| late.value.to_string()).as_deref(), Some("7"));
}

#[observe]
async fn waits() {
    tokio::task::yield_now().await;
    awaited().instrument(tracing::info_span!("around_awaited")).await;
}

#[observe]
async fn awaited() {
    tokio::task::yield_now().await;
    tracing::info!("after waiting");
}

#[tokio::test]
async fn futures_are_in_their_spans_with_each_poll() {
    let Some(_inside) = process::together(here!()) else { return };
    let stack = stack();
    context! { request_id = "r-1" }.scope(waits()).await;
    let (outer, around, inner) =
        (stack.span("::waits"), stack.span("around_awaited"), stack.span("::awaited"));
    assert!(parent_of(&around, &outer) && parent_of(&inner, &around));
    let lines = stack.lines("after waiting");
    let spans = lines[0]["spans"].as_array().expect("spans");
    let names: Vec<&str> = spans.iter().filter_map(|span| span["name"].as_str()).collect();
    assert_eq!(names, ["processes::layer::waits", "around_awaited", "processes::layer::awaited"]);
}

#[test]
fn calls_are_counted() {
    let Some(_inside) = process::together(here!()) else { return };
    stack();
    let _ = counted();
    let metrics = obs_runtime::metrics::encode(obs_runtime::metrics::TextFormat::Prometheus);
    let wanted = r#"function_calls_total{function="processes::layer::counted",outcome="ok"} 1"#;
    assert!(metrics.contains(wanted), "{metrics}");
}

#[observe]
fn counted() -> Result<(), String> {
    Ok(())
}

#[test]
fn a_call_is_counted_once_whatever_another_layer_does_at_its_end() {
    let Some(_inside) = process::together(here!()) else { return };
    stack();
    // The first call of a function takes another way.
    for _ in 0..2 {
        assert!(std::panic::catch_unwind(|| closed_by_a_panic(1)).is_err());
    }
    let metrics = obs_runtime::metrics::encode(obs_runtime::metrics::TextFormat::Prometheus);
    let calls = metrics.lines().filter(|line| line.contains("closed_by_a_panic") && line.contains("_calls_"));
    let counted: Vec<&str> = calls.filter(|line| !line.ends_with(" 0")).collect();
    assert_eq!(
        counted,
        [r#"function_calls_total{function="processes::layer::closed_by_a_panic",outcome="ok"} 2"#]
    );
}

#[observe]
fn closed_by_a_panic(n: u32) -> Result<u32, String> {
    Ok(n)
}
