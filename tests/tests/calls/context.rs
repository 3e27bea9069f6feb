//! What is said of a call is said of everything below it: nested spans, events of other crates, `log`.

mod depth;

use obs_runtime::{TraceContext, observe};
use obs_tests::{attribute, here, process, recorder};
use opentelemetry::trace::SpanKind;
use tracing::Instrument;

/// Stands for a crate that knows nothing of this one: plain `tracing`, plain `log`.
mod third_party {
    pub(crate) fn speaks() {
        tracing::info!(rows = 3, "from tracing");
        log::warn!("from log: {}", 7);
    }

    #[tracing::instrument(fields(engine = "sqlite"))]
    pub(crate) fn works(table: &str) {
        super::innermost();
        tracing::info!("inside {table}");
    }
}

#[observe(fields(request_id = %request_id, attempt = 1))]
fn outer_call(request_id: &str) {
    let _ = request_id;
    inner_call(2);
}

#[observe(fields(attempt), kind = "client")]
fn inner_call(attempt: u32) {
    let _ = attempt;
    third_party::speaks();
}

#[test]
fn an_event_carries_the_fields_of_all_spans_around_it() {
    let recorder = recorder();
    outer_call("r-1");
    let lines: Vec<_> =
        recorder.lines("inner_call").into_iter().filter(|line| line.get("outcome").is_none()).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let span = recorder.span("inner_call");
    for (line, message) in lines.iter().zip(["from tracing", "from log: 7"]) {
        assert_eq!(line["msg"], message);
        assert_eq!(line["request_id"], "r-1");
        assert_eq!(line["attempt"], 2, "of equal keys the inner one");
        assert_eq!(line["trace_id"], span.span_context.trace_id().to_string());
        assert_eq!(line["span_id"], span.span_context.span_id().to_string());
        assert_eq!(line["target"], "calls::context::third_party");
    }
    assert_eq!(lines[0]["rows"], 3);
}

#[test]
fn nested_calls_are_parent_and_child() {
    let recorder = recorder();
    parent_call();
    let (parent, child) = (recorder.span("parent_call"), recorder.span("child_call"));
    assert_eq!(child.parent_span_id, parent.span_context.span_id());
    assert_eq!(child.span_context.trace_id(), parent.span_context.trace_id());
    assert_eq!(child.span_kind, SpanKind::Client);
    assert!(!child.parent_span_is_remote);
    assert!(parent.start_time <= child.start_time && child.end_time <= parent.end_time);
    assert_eq!(attribute(&child, "part").as_deref(), Some("0.5"));
    assert_eq!(attribute(&child, "whole"), None, "only its own fields");
}

#[observe(fields(whole = true))]
fn parent_call() {
    child_call(0.5);
}

#[observe(kind = "client", fields(part))]
fn child_call(part: f64) {
    let _ = part;
}

#[observe]
fn around() {
    third_party::works("orders");
}

#[observe]
fn innermost() {}

#[test]
fn spans_of_other_crates_nest_between_ours() {
    let recorder = recorder();
    around();
    let (around, works, innermost) =
        (recorder.span("around"), recorder.span("works"), recorder.span("innermost"));
    assert_eq!(works.parent_span_id, around.span_context.span_id());
    assert_eq!(innermost.parent_span_id, works.span_context.span_id());
    assert_eq!(attribute(&works, "engine").as_deref(), Some("sqlite"));
    assert_eq!(attribute(&works, "table").as_deref(), Some("orders"));
    let line =
        recorder.lines("around").into_iter().find(|line| line["msg"] == "inside orders").expect("a line");
    assert_eq!((&line["engine"], &line["table"]), (&"sqlite".into(), &"orders".into()));
}

#[observe(fields(job = 7))]
async fn moves_between_threads() -> Option<TraceContext> {
    let here = TraceContext::current();
    for _ in 0..50 {
        tokio::task::yield_now().await;
        assert_eq!(TraceContext::current(), here);
    }
    tracing::info!("arrived");
    here
}

#[observe]
async fn polls_two() {
    let ((), ()) = tokio::join!(one_of_two(1), one_of_two(2));
}

#[observe(fields(which))]
async fn one_of_two(which: u32) {
    tokio::task::yield_now().await;
    tracing::info!(seen = which, "joined");
    tokio::task::yield_now().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn context_follows_a_future_and_not_its_thread() {
    let recorder = recorder();
    let tasks: Vec<_> = (0..20).map(|_| tokio::spawn(moves_between_threads())).collect();
    for task in tasks {
        assert!(task.await.expect("no panic").is_some());
    }
    assert_eq!(TraceContext::current(), None);
    polls_two().await;
    let parent = recorder.span("polls_two").span_context.span_id();
    assert!(recorder.spans("one_of_two").iter().all(|span| span.parent_span_id == parent));
    for line in recorder.lines("one_of_two").iter().filter(|line| line["msg"] == "joined") {
        assert_eq!(line["seen"], line["which"]);
    }
}

#[observe(fields(late = tracing::field::Empty, early = 1))]
fn records_later() {
    tracing::info!("before");
    tracing::Span::current().record("late", "now known");
    tracing::info!("after");
}

#[observe(fields(late = tracing::field::Empty))]
async fn records_later_async() {
    tracing::Span::current().record("late", 1);
    tokio::task::yield_now().await;
    tracing::info!("after");
}

#[tokio::test]
async fn a_field_may_be_recorded_later() {
    let recorder = recorder();
    records_later();
    let lines = recorder.lines("records_later");
    assert_eq!((lines[0].get("late"), lines[1]["late"].as_str()), (None, Some("now known")));
    assert_eq!(attribute(&recorder.span("records_later"), "late").as_deref(), Some("now known"));
    records_later_async().await;
    assert_eq!(recorder.lines("records_later_async")[0]["late"], 1);
    assert_eq!(attribute(&recorder.span("records_later_async"), "late").as_deref(), Some("1"));
}

#[observe(fields(job = "nightly"))]
async fn hands_its_span_to_a_task() {
    let task = async {
        in_the_task();
        tracing::info!("in the task");
    };
    tokio::spawn(task.in_current_span()).await.expect("no panic");
}

#[observe]
fn in_the_task() {}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_can_be_carried_to_another_task_by_hand() {
    let recorder = recorder();
    hands_its_span_to_a_task().await;
    let (parent, child) = (recorder.span("hands_its_span_to_a_task"), recorder.span("in_the_task"));
    assert_eq!(child.parent_span_id, parent.span_context.span_id());
    let line =
        recorder.lines("hands_its_span_to_a_task").into_iter().find(|line| line["msg"] == "in the task");
    assert_eq!(line.expect("a line")["job"], "nightly");
}

#[observe]
async fn called_from_elsewhere() {}

#[tokio::test]
async fn a_remote_caller_is_the_parent() {
    let recorder = recorder();
    let caller: TraceContext =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("valid");
    obs_runtime::Context::from(caller).scope(called_from_elsewhere()).await;
    let span = recorder.span("called_from_elsewhere");
    assert_eq!(span.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(span.parent_span_is_remote);
}

#[observe]
async fn called_and_not_sampled() {
    tracing::info!("not sampled");
}

#[tokio::test]
async fn a_caller_that_does_not_sample_is_followed_in_that() {
    let recorder = recorder();
    let caller: TraceContext =
        "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().expect("valid");
    obs_runtime::Context::from(caller).scope(called_and_not_sampled()).await;
    assert!(recorder.spans("called_and_not_sampled").is_empty());
    let line = &recorder.lines("called_and_not_sampled")[0];
    assert_eq!(line["trace_id"], "1af7651916cd43dd8448eb211c80319c");
}

#[observe(no_span, fields(part = "unseen"))]
fn has_no_span() {
    sees_through();
    tracing::info!("below no span");
}

#[observe]
fn above_no_span() {
    has_no_span();
}

#[observe]
fn sees_through() {}

#[test]
fn without_a_span_children_belong_to_the_span_above() {
    let recorder = recorder();
    above_no_span();
    assert!(recorder.spans("has_no_span").is_empty());
    assert_eq!(
        recorder.span("sees_through").parent_span_id,
        recorder.span("above_no_span").span_context.span_id()
    );
    let line = recorder
        .lines("has_no_span")
        .into_iter()
        .find(|line| line["msg"] == "below no span")
        .expect("a line");
    assert_eq!(line["part"], "unseen");
    assert_eq!(line["span_id"], recorder.span("above_no_span").span_context.span_id().to_string());
}

#[test]
fn a_guard_that_outlives_its_call_does_no_harm() {
    #[observe]
    fn leaves_a_guard_behind() -> tracing::span::EnteredSpan {
        tracing::info_span!("left_behind", inner = 1).entered()
    }
    let recorder = recorder();
    let guard = leaves_a_guard_behind();
    tracing::info!(target: "outlives", "while it lives");
    drop(guard);
    tracing::info!(target: "outlives", "after it is gone");
    let lines: Vec<_> =
        recorder.all_lines().into_iter().filter(|line| line["target"] == "outlives").collect();
    assert_eq!((&lines[0]["inner"], lines[1].get("inner")), (&1.into(), None));
    assert_eq!(TraceContext::current(), None);
}

#[test]
fn a_scoped_subscriber_of_somebody_else_sees_our_spans() {
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    #[derive(Clone, Default)]
    struct Names(Arc<Mutex<Vec<&'static str>>>);
    impl<S: tracing::Subscriber> Layer<S> for Names {
        fn on_new_span(
            &self,
            attributes: &tracing::span::Attributes<'_>,
            _: &tracing::Id,
            _: Context<'_, S>,
        ) {
            self.0.lock().expect("no panic").push(attributes.metadata().name());
        }
    }

    #[observe(fields(x = 1))]
    fn seen_by_another() {}

    let recorder = recorder();
    let names = Names::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(names.clone()), seen_by_another);
    assert_eq!(names.0.lock().expect("no panic").len(), 1);
    assert!(recorder.spans("seen_by_another").is_empty());
    assert_eq!(recorder.calls("seen_by_another", "ok"), 1.0);
}

#[observe(fields(user = tracing::field::Empty))]
fn recorded_from_below() {
    records_above(&tracing::Span::current());
}

#[observe]
fn records_above(span: &tracing::Span) {
    span.record("user", "u-1");
    tracing::info!("below");
}

#[test]
fn a_field_recorded_above_is_seen_below_at_once() {
    let recorder = recorder();
    recorded_from_below();
    let line =
        recorder.lines("records_above").into_iter().find(|line| line["msg"] == "below").expect("a line");
    assert_eq!(line["user"], "u-1");
}

#[observe(fields(progress = tracing::field::Empty))]
fn records_again_and_again() {
    for progress in 0..20_000 {
        tracing::Span::current().record("progress", progress);
    }
    tracing::info!("done");
}

#[test]
fn of_a_field_recorded_again_the_last_value_counts() {
    let recorder = recorder();
    records_again_and_again();
    assert_eq!(recorder.lines("records_again_and_again")[0]["progress"], 19_999);
    assert_eq!(attribute(&recorder.span("records_again_and_again"), "progress").as_deref(), Some("19999"));
}

#[observe(fields(answer = tracing::field::Empty))]
async fn recorded_by_another_task() {
    let span = tracing::Span::current();
    let record = async move {
        span.record("answer", 42);
    };
    tokio::spawn(record).await.expect("no panic");
    tracing::info!("afterwards");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_recorded_by_another_task_is_seen_at_the_next_poll() {
    let recorder = recorder();
    recorded_by_another_task().await;
    for line in recorder.lines("recorded_by_another_task") {
        assert_eq!(line["answer"], 42, "{line}");
    }
}

#[observe(labels(kind: bool = true))]
fn is_labelled() {}

#[test]
fn a_calls_labels_are_on_its_line_and_its_span() {
    let recorder = recorder();
    is_labelled();
    assert_eq!(recorder.end_line("is_labelled")["kind"], "true");
    assert_eq!(attribute(&recorder.span("is_labelled"), "kind").as_deref(), Some("true"));
}

#[observe(fields(inner = 1))]
fn names_another_parent(span: &tracing::Span) {
    tracing::info!(target: "explicit", parent: span, "elsewhere");
    tracing::info!(target: "explicit", parent: None, "nowhere");
}

#[test]
fn an_event_that_names_its_parent_has_that_context() {
    let recorder = recorder();
    names_another_parent(&tracing::info_span!("another", outer = 2));
    let lines: Vec<_> =
        recorder.all_lines().into_iter().filter(|line| line["target"] == "explicit").collect();
    assert_eq!((&lines[0]["outer"], lines[0].get("inner")), (&2.into(), None));
    assert_eq!((lines[1].get("outer"), lines[1].get("inner"), lines[1].get("trace_id")), (None, None, None));
}
