//! Context that goes along: to tasks, threads and pools, through channels and `select!`.

use obs_runtime::task::JoinSetExt;
use obs_runtime::{Context, TraceContext, context, observe};
use obs_tests::recorder;
use opentelemetry::trace::SpanId;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::Instrument;

#[observe]
fn here(_way: &str) {
    tracing::info!("here");
}

/// Checks that every call of `here` with this request id was a child of `parent`, and its lines complete.
fn assert_below(parent: &str, request_id: &str, count: usize) {
    let recorder = recorder();
    let parent = recorder.span(parent).span_context;
    let lines: Vec<_> = recorder
        .lines("here")
        .into_iter()
        .filter(|line| line["request_id"] == request_id && line["msg"] == "here")
        .collect();
    assert_eq!(lines.len(), count, "{request_id}: {lines:#?}");
    for line in &lines {
        assert_eq!(line["trace_id"], parent.trace_id().to_string(), "{line}");
        let id = SpanId::from_hex(line["span_id"].as_str().expect("text")).expect("an id");
        let span = recorder.spans("here").into_iter().find(|span| span.span_context.span_id() == id);
        assert_eq!(span.expect("exported").parent_span_id, parent.span_id(), "{line}");
    }
}

#[observe]
async fn spawns() {
    obs_runtime::task::spawn(async {
        tokio::task::yield_now().await;
        here("spawn");
    })
    .await
    .expect("no panic");
    obs_runtime::task::spawn_blocking(|| here("spawn_blocking")).await.expect("no panic");
    let mut set = JoinSet::new();
    set.spawn_in_context(async { here("JoinSet") });
    set.spawn_blocking_in_context(|| here("JoinSet, blocking"));
    set.join_all().await;
    let local = tokio::task::LocalSet::new();
    let _entered = local.enter();
    let task = obs_runtime::task::spawn_local(async { here("spawn_local") });
    local.run_until(task).await.expect("no panic");
}

#[tokio::test]
async fn tasks_take_the_context_along() {
    recorder();
    context! { request_id = "spawned" }.scope(spawns()).await;
    assert_below("spawns", "spawned", 5);
}

#[observe]
fn goes_to_threads() {
    obs_runtime::thread::spawn(|| here("thread")).join().expect("no panic");
    std::thread::scope(|scope| {
        obs_runtime::thread::spawn_scoped(scope, || here("scoped thread"));
    });
    let ((), ()) = obs_runtime::rayon::join(|| here("rayon::join"), || here("rayon::join"));
    let (sender, receiver) = std::sync::mpsc::channel();
    obs_runtime::rayon::spawn(move || {
        here("rayon::spawn");
        sender.send(()).expect("somebody waits");
    });
    receiver.recv().expect("sent");
    let context = Context::current();
    rayon::iter::ParallelIterator::for_each(rayon::iter::IntoParallelIterator::into_par_iter(0..8), |_| {
        context.run(|| here("par_iter"));
    });
}

#[test]
fn threads_and_pools_take_the_context_along() {
    recorder();
    context! { request_id = "threaded" }.run(goes_to_threads);
    assert_below("goes_to_threads", "threaded", 13);
}

#[observe]
async fn sends_through_a_channel() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Box<dyn FnOnce() + Send>>(4);
    let worker = tokio::spawn(async move {
        while let Some(job) = receiver.recv().await {
            job();
            assert_eq!(TraceContext::current(), None, "and leaves nothing behind");
        }
    });
    for _ in 0..3 {
        let job = Context::current().bind(|| here("a channel"));
        sender.send(Box::new(job)).await.expect("somebody receives");
    }
    drop(sender);
    worker.await.expect("no panic");
}

#[tokio::test]
async fn work_sent_through_a_channel_takes_the_context_along() {
    recorder();
    context! { request_id = "sent" }.scope(sends_through_a_channel()).await;
    assert_below("sends_through_a_channel", "sent", 3);
}

#[observe]
async fn selects() {
    let slow = async {
        tokio::time::sleep(Duration::from_hours(1)).await;
    };
    let fast = async {
        tokio::task::yield_now().await;
        here("select!");
    };
    tokio::select! {
        () = slow => unreachable!("an hour is long"),
        () = fast => here("the branch"),
    }
    here("after it");
}

#[tokio::test]
async fn select_keeps_the_context() {
    recorder();
    context! { request_id = "selected" }.scope(selects()).await;
    assert_below("selects", "selected", 3);
}

#[observe]
async fn moves_about() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    here("moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_future_that_moves_between_threads_keeps_its_context() {
    recorder();
    let mut future = Box::pin(context! { request_id = "moved" }.scope(moves_about()));
    // Polled once on each of several threads.
    for _ in 0..20 {
        future = tokio::spawn(async move {
            let polled = futures_util::poll!(&mut future);
            (future, polled.is_ready())
        })
        .await
        .map(|(future, ready)| {
            assert!(!ready);
            future
        })
        .expect("no panic");
        assert_eq!(TraceContext::current(), None);
    }
    future.await;
    assert_below("moves_about", "moved", 1);
}

#[test]
fn scopes_nest_and_the_inner_field_counts() {
    let recorder = recorder();
    let tenant = String::from("acme");
    let outer = context! { request_id = "nested", tenant = tenant.as_str(), depth = 1 };
    outer.run(|| {
        let _inner = context! { depth = 2, ?tenant, user.id = %7, "odd key" = true }.enter();
        tracing::info!(target: "scopes_nest", "inside");
    });
    tracing::info!(target: "scopes_nest", "outside");
    let lines: Vec<_> =
        recorder.all_lines().into_iter().filter(|line| line["target"] == "scopes_nest").collect();
    let inside = &lines[0];
    assert_eq!((&inside["depth"], &inside["tenant"]), (&2.into(), &"\"acme\"".into()));
    assert_eq!((&inside["user.id"], &inside["odd key"]), (&"7".into(), &true.into()));
    assert_eq!(inside["request_id"], "nested");
    assert!(lines[1].get("request_id").is_none());
}

#[tokio::test]
async fn a_task_may_make_a_scope_and_wait_inside() {
    let recorder = recorder();
    let task = tokio::spawn(async {
        let (context, job) = (7, String::from("a job"));
        context! { request_id = "in a task", %job, context }.scope(tokio::task::yield_now()).await;
        context! { request_id = "in a task", %job, context }
            .scope(async { tracing::info!(target: "in_a_task", "waited") })
            .await;
    });
    task.await.expect("no panic");
    let lines = recorder.all_lines();
    let line = lines.iter().find(|line| line["target"] == "in_a_task").expect("a line");
    assert_eq!((&line["job"], &line["context"]), (&"a job".into(), &7.into()));
}

#[observe]
fn in_a_scope() {}

#[test]
fn spans_inside_a_scope_have_no_parent_but_the_one_outside() {
    let recorder = recorder();
    context! { request_id = "root" }.run(in_a_scope);
    let span = recorder.span("in_a_scope");
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    assert_eq!(recorder.end_line("in_a_scope")["request_id"], "root");
}

#[test]
fn where_there_was_nothing_nothing_is_captured() {
    let recorder = recorder();
    let nothing = Context::current();
    context! { request_id = "of somebody else" }.run(|| {
        nothing.run(|| tracing::info!(target: "nothing_captured", "captured"));
        Context::root().run(|| tracing::info!(target: "nothing_captured", "the root"));
        Context::default().run(|| tracing::info!(target: "nothing_captured", "no context"));
    });
    let lines = recorder.all_lines().into_iter().filter(|line| line["target"] == "nothing_captured");
    let has_id: Vec<bool> = lines.map(|line| line.get("request_id").is_some()).collect();
    assert_eq!(has_id, [false, false, true]);
}

#[observe]
fn in_a_tracing_task() {}

#[tokio::test]
async fn plain_tracing_takes_a_scope_along_too() {
    let recorder = recorder();
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse::<TraceContext>();
    let _remote = Context::from(caller.expect("valid")).enter();
    let _fields = context! { request_id = "instrumented" }.enter();
    let task = tokio::spawn(async { in_a_tracing_task() }.in_current_span());
    task.await.expect("no panic");
    let span = recorder.span("in_a_tracing_task");
    assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(span.parent_span_is_remote);
    assert_eq!(recorder.end_line("in_a_tracing_task")["request_id"], "instrumented");
}

#[observe]
fn outlives() -> Context {
    Context::current()
}

#[observe]
fn afterwards() {
    tracing::info!("afterwards");
}

#[test]
fn a_context_outlives_its_span() {
    let recorder = recorder();
    let context = context! { request_id = "outlived" }.run(outlives);
    context.run(afterwards);
    let parent = recorder.span("outlives").span_context.span_id();
    assert_eq!(recorder.span("afterwards").parent_span_id, parent);
    assert_eq!(recorder.end_line("afterwards")["request_id"], "outlived");
}

#[tokio::test]
async fn a_future_is_dropped_inside_its_context() {
    struct SpeaksWhenDropped;
    impl Drop for SpeaksWhenDropped {
        fn drop(&mut self) {
            tracing::info!(target: "dropped_inside", "dropped");
        }
    }
    let recorder = recorder();
    let held = SpeaksWhenDropped;
    let future = context! { request_id = "dropped" }.scope(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    let _ = tokio::time::timeout(Duration::from_millis(1), future).await;
    let line = recorder.all_lines().into_iter().find(|line| line["target"] == "dropped_inside");
    assert_eq!(line.expect("a line")["request_id"], "dropped");
}
