//! Code that uses the OpenTelemetry API directly: in our spans, and ours in its.

use obs_runtime::propagation::{extract, inject};
use obs_runtime::{TraceContext, observe};
use obs_tests::recorder;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{Span, SpanId, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use std::collections::HashMap;

fn current() -> String {
    Context::current().span().span_context().span_id().to_string()
}

fn ours() -> String {
    format!("{:016x}", TraceContext::current().expect("inside a span").span_id)
}

#[observe]
async fn is_current() {
    assert_eq!(current(), ours());
    for _ in 0..5 {
        tokio::task::yield_now().await;
        assert_eq!(current(), ours());
    }
    let plain = tracing::info_span!("plain_span");
    plain.in_scope(|| assert_eq!(current(), ours()));
    assert_eq!(current(), ours());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_spans_are_current_for_the_api() {
    recorder();
    assert!(!Context::current().has_active_span());
    tokio::join!(is_current(), is_current());
    assert!(!Context::current().has_active_span(), "and not afterwards");
}

#[observe]
fn uses_a_library() {
    let tracer = global::tracer("library");
    let mut span = tracer.start("made_with_the_api");
    span.set_attribute(KeyValue::new("answer", 42));
    let context = Context::current_with_span(span);
    let attached = context.attach();
    below_the_api();
    drop(attached);
}

#[observe]
fn below_the_api() {
    assert_eq!(current(), ours());
}

#[test]
fn spans_of_the_api_nest_between_ours() {
    let recorder = recorder();
    uses_a_library();
    let above = recorder.span("uses_a_library");
    let made = recorder.span("made_with_the_api");
    let below = recorder.span("below_the_api");
    assert_eq!(made.parent_span_id, above.span_context.span_id());
    assert_eq!(below.parent_span_id, made.span_context.span_id());
    assert_eq!(made.span_context.trace_id(), above.span_context.trace_id());
    assert_eq!(below.span_context.trace_id(), above.span_context.trace_id());
    assert_eq!(made.instrumentation_scope.name(), "library");
    assert!(!below.parent_span_is_remote);
}

#[observe]
async fn awaits_below_the_api() {
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn a_trace_may_begin_with_a_span_of_the_api() {
    use opentelemetry::trace::FutureExt;
    let recorder = recorder();
    let root = global::tracer("library").start("root_of_the_api");
    awaits_below_the_api().with_context(Context::current_with_span(root)).await;
    let root = recorder.span("root_of_the_api");
    assert_eq!(root.parent_span_id, SpanId::INVALID);
    assert_eq!(recorder.span("awaits_below_the_api").parent_span_id, root.span_context.span_id());
}

#[observe]
fn sends_with_the_api() -> HashMap<String, String> {
    let mut headers = HashMap::new();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&Context::current(), &mut headers);
    });
    assert_eq!(
        Context::current().baggage().get("tenant").map(opentelemetry::StringValue::as_str),
        Some("acme")
    );
    headers
}

#[test]
fn propagators_of_the_api_send_what_ours_do() {
    let recorder = recorder();
    let received = [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "congo=t61rcWkgMzE"),
        ("baggage", "tenant=acme"),
    ];
    let sent = extract(&received[..]).run(sends_with_the_api);
    let span = recorder.span("sends_with_the_api");
    let here = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", span.span_context.span_id());
    assert_eq!((sent["traceparent"].as_str(), sent["tracestate"].as_str()), (&*here, "congo=t61rcWkgMzE"));
    assert_eq!(sent["baggage"], "tenant=acme");
    assert!(span.parent_span_is_remote);
}

#[observe]
fn sends_from_a_span_of_the_api() -> (HashMap<String, String>, String) {
    let span = global::tracer("library").start("sends");
    let _in_span = Context::current_with_span(span).attach();
    let mut headers = HashMap::new();
    inject(&mut headers);
    let here = obs_runtime::Context::current();
    let elsewhere = std::thread::spawn(move || here.run(ours)).join().expect("no panic");
    assert_eq!(elsewhere, current());
    tracing::info!(target: "inside_the_api", "a line");
    (headers, current())
}

#[test]
fn inside_a_span_of_the_api_that_span_is_the_innermost() {
    let recorder = recorder();
    let (headers, span) = sends_from_a_span_of_the_api();
    assert!(headers["traceparent"].contains(&span), "{headers:?} {span}");
    let lines = recorder.all_lines();
    let line = lines.iter().find(|line| line["target"] == "inside_the_api").expect("a line");
    assert_eq!(line["span_id"], span);
}

#[observe]
fn called_in_map_current() -> String {
    inside_of_it();
    obs_runtime::context! { order = "A-17" }.run(|| tracing::info!("in map_current"));
    tracing::info_span!("plain_in_map_current").in_scope(ours)
}

#[observe]
fn inside_of_it() {}

#[observe]
async fn awaited_in_map_current() {
    tokio::task::yield_now().await;
}

#[observe]
fn around_map_current() {
    let before = current();
    let plain = Context::map_current(|_| Context::map_current(|_| called_in_map_current()));
    assert_ne!(plain, before);
    let value = Context::map_current(|_| {
        let mut headers = HashMap::new();
        obs_runtime::Context::current().run(|| inject(&mut headers));
        futures_executor::block_on(awaited_in_map_current());
        Context::current_with_value(7_u8).get::<u8>().copied()
    });
    assert_eq!((value, current()), (Some(7), before));
    called_afterwards();
}

#[observe]
fn called_afterwards() {
    assert_eq!(current(), ours());
}

#[test]
fn annotations_do_not_panic_while_the_contexts_of_the_api_are_borrowed() {
    let recorder = recorder();
    around_map_current();
    let around = recorder.span("around_map_current");
    let called = recorder.span("called_in_map_current");
    assert_eq!(called.parent_span_id, around.span_context.span_id());
    for name in ["inside_of_it", "plain_in_map_current"] {
        assert_eq!(recorder.span(name).parent_span_id, called.span_context.span_id(), "{name}");
    }
    for name in ["awaited_in_map_current", "called_afterwards"] {
        assert_eq!(recorder.span(name).parent_span_id, around.span_context.span_id(), "{name}");
    }
    let line = recorder.lines("called_in_map_current").remove(0);
    assert_eq!((&line["msg"], &line["order"]), (&"in map_current".into(), &"A-17".into()));
    assert_eq!(recorder.end_line("called_in_map_current")["outcome"], "ok");
}

#[test]
fn a_task_is_spawned_while_the_contexts_of_the_api_are_borrowed() {
    recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let spawned = runtime.block_on(async {
        Context::map_current(|_| obs_runtime::task::spawn(awaited_in_a_task())).await.expect("no panic")
    });
    assert_eq!(spawned, 7);
}

#[observe]
async fn awaited_in_a_task() -> u32 {
    assert_eq!(current(), ours());
    7
}

#[test]
fn baggage_goes_both_ways() {
    recorder();
    let of_api = Context::current_with_baggage([KeyValue::new("via", "the api")]).attach();
    let mut headers = HashMap::new();
    inject(&mut headers);
    assert_eq!(headers["baggage"], "via=the%20api");
    drop(of_api);
    let captured = extract(&[("baggage", "tenant=acme")][..]).run(obs_runtime::Context::current);
    extract(&[("baggage", "user=of another")][..]).run(|| {
        captured.run(|| {
            let baggage =
                Context::current().baggage().iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>();
            assert_eq!(baggage, ["tenant"]);
        });
    });
}
